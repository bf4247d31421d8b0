  // A shared word, which proves who sends and not what: the bridge reads the record itself.
  function prove(message) {
    message.setRequestHeader(%TOKEN_HEADER%, %TOKEN_PREFIX% + secret());
  }
