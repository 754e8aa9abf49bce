// kinesis-mock listens on every interface and has no setting for it. Node loads this first (NODE_OPTIONS) and keeps it home.
const { Server } = require("node:net");

const listen = Server.prototype.listen;

Server.prototype.listen = function (first, ...rest) {
  const options = typeof first === "object" ? { ...first, host: "127.0.0.1" } : { port: first, host: "127.0.0.1" };
  return listen.call(this, options, ...rest.filter((argument) => typeof argument === "function"));
};
