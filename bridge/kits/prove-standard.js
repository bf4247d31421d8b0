  // Standard Webhooks 1.0; the secret is base64, with or without whsec_ in front.
  function prove(message, id, seconds, body) {
    var key = secret().replace(/^whsec_/, '');
    var signature = new GlideCertificateEncryption().generateMac(key, 'HmacSHA256', id + '.' + seconds + '.' + body);
    message.setRequestHeader('webhook-id', id);
    message.setRequestHeader('webhook-timestamp', seconds);
    message.setRequestHeader('webhook-signature', 'v1,' + signature);
  }
