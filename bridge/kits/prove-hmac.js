  function hex(base64) {
    var LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
    var bits = '';
    var digits = '';
    for (var i = 0; i < base64.length && base64.charAt(i) !== '='; i++) {
      bits += ('00000' + LETTERS.indexOf(base64.charAt(i)).toString(2)).slice(-6);
    }
    for (var j = 0; j + 8 <= bits.length; j += 8) {
      digits += ('0' + parseInt(bits.substr(j, 8), 2).toString(16)).slice(-2);
    }
    return digits;
  }

  // HMAC-SHA256 with the secret as it is typed.
  function prove(message, id, seconds, body) {
    var HEX = %HEX%;
    var ID_HEADER = %ID_HEADER%;
    var TIMESTAMP_HEADER = %TIMESTAMP_HEADER%;
    var signed = %SIGNED%;
    var mac = new GlideCertificateEncryption().generateMac(gs.base64Encode(secret()), 'HmacSHA256', signed);
    message.setRequestHeader(%SIGNATURE_HEADER%, %SIGNATURE_PREFIX% + (HEX ? hex(mac) : mac));
    if (ID_HEADER) {
      message.setRequestHeader(ID_HEADER, id);
    }
    if (TIMESTAMP_HEADER) {
      message.setRequestHeader(TIMESTAMP_HEADER, seconds);
    }
  }
