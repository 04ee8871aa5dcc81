#!/usr/bin/env node
// Parsed by whatever Node is installed: nothing newer than modules and `var` before its version is known.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

var root = dirname(dirname(fileURLToPath(import.meta.url)));
var parts = process.versions.node.split(".").map(Number);
var entry = join(root, "dist", "main.js");
// A clone of the repository brings a Node of its own.
var ownNode = join(root, "node_modules", "node", "bin", "node");

function fail(lines) {
  process.stderr.write(`${lines.join("\n")}\n`);
  process.exitCode = 2;
}

// Runs this command in another Node and ends as that one ends.
function runIn(node) {
  var child;
  // Ctrl-C reaches the child from the terminal itself; what is sent to this process alone has to be passed on.
  ["SIGINT", "SIGTERM", "SIGHUP"].forEach((signal) => {
    process.on(signal, () => {
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  });
  child = spawn(node, [fileURLToPath(import.meta.url)].concat(process.argv.slice(2)), { stdio: "inherit" });
  child.on("error", (error) => fail([`Error: ${node} cannot be started: ${error.message}`]));
  child.on("exit", (code, signal) => {
    process.exitCode = signal ? 128 + constants.signals[signal] : code;
  });
}

if (parts[0] < 22 || (parts[0] === 22 && parts[1] < 19)) {
  if (existsSync(ownNode)) runIn(ownNode);
  else
    fail([`Error: appctl needs Node 22.19 or newer; this is ${process.versions.node}`, "hint: install a newer Node"]);
} else if (!existsSync(entry)) {
  fail([`Error: appctl is not built: ${entry} does not exist`, "next:", "  npm run build"]);
} else {
  module.enableCompileCache();
  await import(entry);
}
