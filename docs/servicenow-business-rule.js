// Business rule for ServiceNow, global scope: tells the bridge what happened to a record.
//
//   Table      the table to watch (incident, sc_req_item, ...): one rule for each
//   When       after; Insert and Update ticked; Advanced ticked
//   Condition  in the condition builder, on a change: "State changes to ..."
//
// System properties (keep bridge.webhook.key private):
//   bridge.webhook.url   https://bridge.example.com/webhooks/servicenow
//   bridge.webhook.key   the secret, base64 of at least 24 random bytes, with or without whsec_ in front
//   bridge.account       user name of the bridge's own account, whose changes are never sent
//
// Signed by Standard Webhooks 1.0. Written for ECMAScript 5; it reads the record and changes nothing.
(function executeRule(current, previous) {
  var RULE = 'bridge'; // one name for each rule: two rules on one update are two deliveries

  // Read through references: who the ticket is for, since a reference holds only an identifier and a name.
  var DOTTED = [
    'caller_id.email', 'caller_id.user_name',
    'requested_for.email', 'requested_for.user_name',
    'request.requested_for', 'request.requested_for.email', 'request.requested_for.user_name',
    'assigned_to.email', 'assigned_to.user_name'
  ];
  // Every update changes these; they would hide what a person changed.
  var BOOKKEEPING = { sys_updated_on: true, sys_updated_by: true, sys_mod_count: true };
  var JOURNALS = ['comments', 'work_notes'];

  // Our own notes must not start anything, or the bridge would answer itself.
  if (gs.getUserName() === gs.getProperty('bridge.account')) {
    return;
  }

  function text(value) {
    return value === null || value === undefined ? '' : String(value);
  }

  function cell(record, name) {
    return { value: text(record.getValue(name)), display_value: text(record.getDisplayValue(name)) };
  }

  function isJournal(element) {
    return text(element.getED().getInternalType()).indexOf('journal') === 0;
  }

  function columnNames() {
    var names = [];
    var elements = current.getFields();
    for (var i = 0; i < elements.size(); i++) {
      if (!isJournal(elements.get(i))) { // a journal's text is the whole conversation, not a value
        names.push(text(elements.get(i).getName()));
      }
    }
    return names;
  }

  function dottedCell(name) {
    var element = current;
    var parts = name.split('.');
    for (var i = 0; i < parts.length; i++) {
      element = element[parts[i]];
      if (element === null || element === undefined) {
        return null;
      }
    }
    return { value: text(element), display_value: text(element.getDisplayValue()) };
  }

  function record(names) {
    var columns = {};
    for (var i = 0; i < names.length; i++) {
      columns[names[i]] = cell(current, names[i]);
    }
    for (var j = 0; j < DOTTED.length; j++) {
      var dotted = dottedCell(DOTTED[j]);
      if (dotted !== null && dotted.value !== '') {
        columns[DOTTED[j]] = dotted;
      }
    }
    return columns;
  }

  function changes(names) {
    var found = [];
    if (current.operation() === 'insert' || !previous) {
      return found;
    }
    for (var i = 0; i < names.length; i++) {
      var name = names[i];
      if (!BOOKKEEPING[name] && text(previous.getValue(name)) !== text(current.getValue(name))) {
        found.push({ field: name, from: cell(previous, name), to: cell(current, name) });
      }
    }
    return found;
  }

  function comment() {
    for (var i = 0; i < JOURNALS.length; i++) {
      var element = current[JOURNALS[i]];
      if (element && element.changes()) {
        return { field: JOURNALS[i], text: text(element.getJournalEntry(1)) };
      }
    }
    return null;
  }

  // ASCII only, so that the bytes that are signed and the bytes that are sent are the same.
  function ascii(json) {
    return json.replace(/[\u007f-\uffff]/g, function (character) {
      return '\\u' + ('000' + character.charCodeAt(0).toString(16)).slice(-4);
    });
  }

  var table = text(current.getTableName());
  var sysId = text(current.getUniqueValue());
  var count = text(current.getValue('sys_mod_count'));
  var names = columnNames();
  var content = {
    rule: RULE,
    table: table,
    operation: text(current.operation()),
    sys_id: sysId,
    number: text(current.getValue('number')),
    sys_mod_count: count,
    updated_by: text(current.getValue('sys_updated_by')),
    updated_on: text(current.getValue('sys_updated_on')),
    record: record(names),
    changes: changes(names)
  };
  var added = comment();
  if (added !== null) {
    content.comment = added;
  }
  var body = ascii(JSON.stringify(content));

  var id = [table, sysId, count, RULE].join(':');
  var seconds = String(Math.floor(new GlideDateTime().getNumericValue() / 1000));
  var key = text(gs.getProperty('bridge.webhook.key')).replace(/^whsec_/, '');
  var signature = new GlideCertificateEncryption().generateMac(key, 'HmacSHA256', id + '.' + seconds + '.' + body);

  var message = new sn_ws.RESTMessageV2();
  message.setEndpoint(gs.getProperty('bridge.webhook.url'));
  message.setHttpMethod('post');
  message.setHttpTimeout(10000);
  message.setRequestHeader('Content-Type', 'application/json');
  message.setRequestHeader('webhook-id', id);
  message.setRequestHeader('webhook-timestamp', seconds);
  message.setRequestHeader('webhook-signature', 'v1,' + signature);
  message.disableForcedVariableSubstitution(); // else a $ or a brace in a ticket changes the signed body
  message.setRequestBody(body);
  message.executeAsync(); // the user who saves the record does not wait for us
})(current, previous);
