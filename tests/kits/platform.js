// Stand-ins for the objects that ServiceNow gives a business rule, over one record of plain values.
// Reads {script, properties, user, now, operation, current, previous, journal, outbox, answers} from standard
// input; prints what was sent, the outbox and the warnings after it.
const crypto = require('crypto');
const fs = require('fs');
const vm = require('vm');

const scenario = JSON.parse(fs.readFileSync(0, 'utf8'));
const JOURNALS = ['comments', 'work_notes'];

function element(name, cell, changed) {
  const journal = JOURNALS.includes(name);
  const made = {
    getName: () => name,
    getED: () => ({ getInternalType: () => (journal ? 'journal_input' : 'string') }),
    getDisplayValue: () => (cell.display_value === undefined ? cell.value : cell.display_value),
    getJournalEntry: () => scenario.journal[name] || '',
    changes: () => changed,
    toString: () => cell.value
  };
  for (const [column, inner] of Object.entries(cell.columns || {})) {
    made[column] = element(column, inner, false);
  }
  return made;
}

function record(values) {
  const names = Object.keys(values).concat(JOURNALS);
  const made = {
    getTableName: () => scenario.table,
    getUniqueValue: () => values.sys_id.value,
    getValue: (name) => (values[name] && values[name].value !== '' ? values[name].value : null),
    getDisplayValue: (name) => (values[name] ? made[name].getDisplayValue() : null),
    operation: () => scenario.operation,
    getFields: () => ({ size: () => names.length, get: (at) => made[names[at]] })
  };
  for (const name of names) {
    made[name] = element(name, values[name] || { value: '' }, JOURNALS.includes(name) && name in scenario.journal);
  }
  return made;
}

const sent = [];
const said = [];
const outbox = scenario.outbox || [];
const written = (milliseconds) => new Date(milliseconds).toISOString().slice(0, 19).replace('T', ' ');

// A status of 0 stands for a bridge that cannot be reached.
function RESTMessageV2() {
  const message = { headers: {} };
  this.setEndpoint = (url) => { message.url = url; };
  this.setHttpMethod = (method) => { message.method = method; };
  this.setHttpTimeout = () => {};
  this.setRequestHeader = (name, value) => { message.headers[name.toLowerCase()] = value; };
  this.disableForcedVariableSubstitution = () => { message.literal = true; };
  this.setRequestBody = (body) => { message.body = body; };
  this.execute = () => {
    sent.push(message);
    const status = scenario.answers[sent.length - 1] ?? 200;
    if (status === 0) { throw new Error('Connection refused'); }
    return { getStatusCode: () => status, getBody: () => 'what it said' };
  };
}

function GlideDateTime(value) {
  let at = value === undefined ? scenario.now : Date.parse(value.replace(' ', 'T') + 'Z');
  this.getNumericValue = () => at;
  this.getValue = () => written(at);
  this.addSeconds = (seconds) => { at += seconds * 1000; };
  this.addDaysUTC = (days) => { at += days * 86400 * 1000; };
}

const COMPARE = { '=': (a, b) => a === b, '<=': (a, b) => a <= b, '<': (a, b) => a < b };

// The one table that the scripts know, with a unique u_id.
function GlideRecord(table) {
  if (table !== 'u_bridge_outbox') { throw new Error(table); }
  const conditions = [];
  let row = null;
  let found = [];
  let most = Infinity;
  let order = 'u_id';
  const fitting = () => outbox.filter((each) => conditions.every(([name, how, value]) => COMPARE[how](each[name], value)));
  this.initialize = () => { row = {}; };
  this.setValue = (name, value) => { row[name] = String(value); };
  this.getValue = (name) => (row[name] === undefined || row[name] === '' ? null : row[name]);
  this.insert = () => {
    if (outbox.some((each) => each.u_id === row.u_id)) { return null; }
    row.sys_created_on = row.sys_updated_on = written(scenario.now);
    outbox.push(row);
    return row.u_id;
  };
  this.update = () => { row.sys_updated_on = written(scenario.now); };
  this.addQuery = (name, how, value) => { conditions.push(value === undefined ? [name, '=', how] : [name, how, value]); };
  this.orderBy = (name) => { order = name; };
  this.setLimit = (limit) => { most = limit; };
  this.query = () => { found = fitting().sort((a, b) => (a[order] < b[order] ? -1 : 1)).slice(0, most); };
  this.next = () => { row = found.shift(); return row !== undefined; };
  this.deleteMultiple = () => { fitting().forEach((each) => outbox.splice(outbox.indexOf(each), 1)); };
}

const platform = {
  gs: {
    getUserName: () => scenario.user,
    getProperty: (name) => scenario.properties[name],
    base64Encode: (text) => Buffer.from(text, 'utf8').toString('base64'),
    warn: (text) => { said.push(text); },
    error: (text) => { said.push(text); }
  },
  sn_ws: { RESTMessageV2 },
  GlideDateTime,
  GlideRecord,
  GlideCertificateEncryption: function () {
    this.generateMac = (key, algorithm, data) => {
      if (algorithm !== 'HmacSHA256') { throw new Error(algorithm); }
      return crypto.createHmac('sha256', Buffer.from(key, 'base64')).update(data, 'utf8').digest('base64');
    };
  }
};
if (scenario.current) {
  platform.current = record(scenario.current);
  platform.previous = scenario.previous ? record(scenario.previous) : null;
}

vm.runInNewContext(scenario.script, platform);
console.log(JSON.stringify({ sent, outbox, said }));
