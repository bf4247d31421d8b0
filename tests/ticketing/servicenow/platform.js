// Stand-ins for the objects that ServiceNow gives a business rule, over one record of plain values.
// Reads {rule, user, properties, now, operation, current, previous, journal} from standard input; prints what is sent.
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

function RESTMessageV2() {
  const message = { headers: {} };
  this.setEndpoint = (url) => { message.url = url; };
  this.setHttpMethod = (method) => { message.method = method; };
  this.setHttpTimeout = () => {};
  this.setRequestHeader = (name, value) => { message.headers[name.toLowerCase()] = value; };
  this.disableForcedVariableSubstitution = () => { message.literal = true; };
  this.setRequestBody = (body) => { message.body = body; };
  this.executeAsync = () => { sent.push(message); };
}

const platform = {
  gs: { getUserName: () => scenario.user, getProperty: (name) => scenario.properties[name] },
  sn_ws: { RESTMessageV2 },
  GlideDateTime: function () { this.getNumericValue = () => scenario.now; },
  GlideCertificateEncryption: function () {
    this.generateMac = (key, algorithm, data) => {
      if (algorithm !== 'HmacSHA256') { throw new Error(algorithm); }
      return crypto.createHmac('sha256', Buffer.from(key, 'base64')).update(data, 'utf8').digest('base64');
    };
  },
  current: record(scenario.current),
  previous: scenario.previous ? record(scenario.previous) : null
};

vm.runInNewContext(fs.readFileSync(scenario.rule, 'utf8'), platform);
console.log(JSON.stringify(sent));
