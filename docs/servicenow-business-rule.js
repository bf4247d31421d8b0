// Business rule for ServiceNow, global scope: puts what happened to a record into the outbox of the bridge.
//
//   Table      the table to watch (incident, sc_req_item, ...): one rule for each
//   When       after; Insert and Update as the mappings need them; Advanced ticked
//   Condition  in the condition builder, on a change: "State changes to ..."
//
// The scheduled job sends what stands in the table u_bridge_outbox. The user who saves the record waits for
// nothing. Written for ECMAScript 5; it reads the record and changes nothing of it.
//
// System property:
//   bridge.account       user name of the bridge's own account, whose changes are never sent
(function executeRule(current, previous) {
  var RULE = "bridge"; // one name for each rule: two rules on one update are two deliveries
  // What is sent of a record: the columns that mappings read, null for every one.
  var COLUMNS = null;
  // Read through references, since a reference holds only an identifier and a name.
  var DOTTED = [
    "caller_id.email",
    "caller_id.user_name",
    "requested_for.email",
    "requested_for.user_name",
    "request.requested_for",
    "request.requested_for.email",
    "request.requested_for.user_name",
    "assigned_to.email",
    "assigned_to.user_name"
  ];
  var NOTES = true; // whether a note alone is sent, with its text
  var RING = false; // whether no more is sent than which record it is
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

  function isWanted(name) {
    return COLUMNS === null || COLUMNS.indexOf(name) >= 0;
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
      if (isWanted(names[i])) {
        columns[names[i]] = cell(current, names[i]);
      }
    }
    for (var j = 0; j < DOTTED.length; j++) {
      var dotted = dottedCell(DOTTED[j]);
      if (dotted !== null && dotted.value !== '') {
        columns[DOTTED[j]] = dotted;
      }
    }
    return columns;
  }

  // Every column that changed is named, for "it changed" and "it did not" are both asked; the values of a
  // column that no mapping reads stay here.
  function changes(names) {
    var found = [];
    if (text(current.operation()) === 'insert' || !previous) {
      return found;
    }
    for (var i = 0; i < names.length; i++) {
      var name = names[i];
      if (!BOOKKEEPING[name] && text(previous.getValue(name)) !== text(current.getValue(name))) {
        found.push(isWanted(name)
          ? { field: name, from: cell(previous, name), to: cell(current, name) }
          : { field: name });
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
  var content = { rule: RULE, table: table, sys_id: sysId };
  if (!RING) {
    var names = columnNames();
    content.operation = text(current.operation());
    content.number = text(current.getValue('number'));
    content.sys_mod_count = count;
    content.updated_by = text(current.getValue('sys_updated_by'));
    content.updated_on = text(current.getValue('sys_updated_on'));
    content.record = record(names);
    content.changes = changes(names);
    var added = comment();
    if (added !== null && NOTES) {
      content.comment = added;
    } else if (added !== null && content.operation !== 'insert' && content.changes.length === 0) {
      return; // a note alone, which no mapping asks for
    }
  }

  var row = new GlideRecord('u_bridge_outbox');
  row.initialize();
  row.setValue('u_id', [table, sysId, count, RULE].join(':'));
  row.setValue('u_body', ascii(JSON.stringify(content)));
  row.setValue('u_state', 'waiting');
  row.setValue('u_tries', 0);
  row.setValue('u_due', new GlideDateTime().getValue());
  if (!row.insert()) {
    gs.error('bridge: ' + table + ' ' + sysId + ' could not be put into u_bridge_outbox');
  }
})(current, previous);
