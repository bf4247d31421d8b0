// Scheduled script execution for ServiceNow, global scope: sends the outbox of the bridge, and again what did
// not get through.
//
//   Run        Periodically, every 30 seconds
//
// A row of u_bridge_outbox is "waiting" until the bridge has it ("sent"), says that it can never take it
// ("refused"), or three days have passed ("given up"). The bridge knows what it has already: sent twice is done
// once. Written for ECMAScript 5.
//
// System property, to be kept private:
//   bridge.webhook.key   what the bridge has in %SECRETS%
(function sendOutbox() {
  var ADDRESS = %ADDRESS%;
  var MOST = 100; // rows for each run
  var FIRST_WAIT = 30; // seconds, twice as long after each failure
  var LONGEST_WAIT = 3600;
  var GIVEN_UP_AFTER = 72 * 3600 * 1000; // milliseconds
  var KEPT_DAYS = 7; // how long a row that was sent is kept, without its body
  var NEVER_TAKEN = [400, 413, 415];

  function text(value) {
    return value === null || value === undefined ? '' : String(value);
  }

  function secret() {
    return text(gs.getProperty('bridge.webhook.key'));
  }

%PROVE%

  // The status, 0 where there was no answer, and how the answer begins.
  function send(row) {
    var body = text(row.getValue('u_body'));
    // Signed now, not when it happened: a row that waited for hours is as fresh as any.
    var seconds = String(Math.floor(new GlideDateTime().getNumericValue() / 1000));
    try {
      var message = new sn_ws.RESTMessageV2();
      message.setEndpoint(ADDRESS);
      message.setHttpMethod('post');
      message.setHttpTimeout(10000);
      message.setRequestHeader('Content-Type', 'application/json');
      prove(message, text(row.getValue('u_id')), seconds, body);
      message.disableForcedVariableSubstitution(); // else a $ or a brace in a ticket changes the signed body
      message.setRequestBody(body);
      var response = message.execute();
      return { status: Number(response.getStatusCode()) || 0, said: text(response.getBody()).substring(0, 200) };
    } catch (error) {
      return { status: 0, said: text(error).substring(0, 200) };
    }
  }

  // Whether the next row may be sent now: not where the bridge is away, or takes nothing from us.
  function settle(row, answer) {
    var tries = Number(row.getValue('u_tries')) + 1;
    var said = answer.status + ' ' + answer.said;
    var state = 'waiting';
    if (answer.status >= 200 && answer.status < 300) {
      state = 'sent';
      row.setValue('u_body', ''); // it is with the bridge now
    } else if (NEVER_TAKEN.indexOf(answer.status) >= 0) {
      state = 'refused';
    } else {
      var now = new GlideDateTime();
      var age = now.getNumericValue() - new GlideDateTime(text(row.getValue('sys_created_on'))).getNumericValue();
      state = age > GIVEN_UP_AFTER ? 'given up' : 'waiting';
      now.addSeconds(Math.min(FIRST_WAIT * Math.pow(2, tries - 1), LONGEST_WAIT));
      row.setValue('u_due', now.getValue());
    }
    row.setValue('u_tries', tries);
    row.setValue('u_answer', said);
    row.setValue('u_state', state);
    row.update();
    if (state !== 'sent') {
      gs.warn('bridge: ' + text(row.getValue('u_id')) + ' is ' + state + ': ' + said);
    }
    return state === 'sent' || state === 'refused';
  }

  var row = new GlideRecord('u_bridge_outbox');
  row.addQuery('u_state', 'waiting');
  row.addQuery('u_due', '<=', new GlideDateTime().getValue());
  row.orderBy('sys_created_on');
  row.setLimit(MOST);
  row.query();
  while (row.next()) {
    if (!settle(row, send(row))) {
      break;
    }
  }

  var before = new GlideDateTime();
  before.addDaysUTC(-KEPT_DAYS);
  var old = new GlideRecord('u_bridge_outbox');
  old.addQuery('u_state', 'sent');
  old.addQuery('sys_updated_on', '<', before.getValue());
  old.deleteMultiple();
})();
