// `curl URL [-H "Name: value"]` for a machine without curl: prints the body and the status.
import { request } from "node:http";

const [url, ...rest] = process.argv.slice(2);
const { hostname, port, host, pathname } = new URL(url);
const headers = { host };
for (let i = 0; i < rest.length; i += 2) {
  const at = rest[i + 1].indexOf(":");
  headers[rest[i + 1].slice(0, at)] = rest[i + 1].slice(at + 1).trim();
}
const loopback = hostname.endsWith("localhost") ? "127.0.0.1" : hostname;
request({ host: loopback, port, path: pathname, headers }, async (response) => {
  let body = "";
  for await (const chunk of response.setEncoding("utf8")) body += chunk;
  console.log(`${body}   → ${response.statusCode}`);
}).end();
