  // HTTP Basic; the secret is user:password. It proves who sends and not what: the bridge reads the record itself.
  function prove(message) {
    message.setRequestHeader('Authorization', 'Basic ' + gs.base64Encode(secret()));
  }
