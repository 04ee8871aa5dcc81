#!/usr/bin/env node
// Read by whatever Node is installed, back to 14.8: nothing newer before its version is known. What starts fast loads little:
// a Node that is new enough goes straight on to the build.
var parts = process.versions.node.split(".").map(Number);

function fail(lines) {
  process.stderr.write(`${lines.join("\n")}\n`);
  process.exitCode = 2;
}

// Runs this command in another Node and ends as that one ends.
async function runIn(node, script) {
  var { spawn } = await import("node:child_process");
  var { constants } = await import("node:os");
  var child;
  // Ctrl-C reaches the child from the terminal itself; what is sent to this process alone has to be passed on.
  ["SIGINT", "SIGTERM", "SIGHUP"].forEach((signal) => {
    process.on(signal, () => {
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  });
  child = spawn(node, [script].concat(process.argv.slice(2)), { stdio: "inherit" });
  child.on("error", (error) => fail([`Error: ${node} cannot be started: ${error.message}`]));
  child.on("exit", (code, signal) => {
    process.exitCode = signal ? 128 + constants.signals[signal] : code;
  });
}

async function runInNewerNode() {
  var { existsSync } = await import("node:fs");
  var { fileURLToPath } = await import("node:url");
  // A clone of the repository brings a Node of its own.
  var ownNode = fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url));
  if (existsSync(ownNode)) await runIn(ownNode, fileURLToPath(import.meta.url));
  else
    fail([`Error: appctl needs Node 22.19 or newer; this is ${process.versions.node}`, "hint: install a newer Node"]);
}

async function run() {
  process.getBuiltinModule("node:module").enableCompileCache();
  try {
    await import("../dist/main.js");
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND" || !error.url || !error.url.endsWith("/dist/main.js")) throw error;
    fail([
      `Error: appctl is not built: ${error.url.slice("file://".length)} does not exist`,
      "next:",
      "  npm run build",
    ]);
  }
}

if (parts[0] < 22 || (parts[0] === 22 && parts[1] < 19)) await runInNewerNode();
else await run();
