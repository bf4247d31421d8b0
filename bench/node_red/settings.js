// Node-RED without its editor, on loopback alone; it asks nobody for updates and installs nothing.
module.exports = {
    flowFile: 'flows.json',
    uiHost: '127.0.0.1',
    uiPort: Number(process.env.PORT),
    httpAdminRoot: false,
    disableEditor: true,
    credentialSecret: false,
    functionGlobalContext: {crypto: require('crypto')},
    httpRequestTimeout: 75000,
    externalModules: {autoInstall: false, palette: {allowInstall: false, allowUpload: false}},
    telemetry: {enabled: false, updateNotification: false},
    logging: {console: {level: 'info'}},
};
