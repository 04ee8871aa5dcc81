/**
 * Traps: they let something happen exactly before or after a call of the platform's code, or of Node's, without that code
 * knowing of it. Used in the platform's process alone (`platform.ts`).
 */
import childProcess from "node:child_process";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { DatabaseSync } from "node:sqlite";

/** Sets a trap; `spring` is called when the point is reached, with the object whose method was called, and its arguments. */
export type Trap = (spring: (self?: unknown, args?: unknown[]) => void) => void;

type Method = (this: unknown, ...args: unknown[]) => unknown;
/** A class, or any object with methods. */
type Owner = { prototype: object } | object;
type Matches = (...args: never[]) => boolean;

function wrap(owner: Owner, name: string, wrapper: (original: Method) => Method): void {
  const target = ("prototype" in owner ? owner.prototype : owner) as Record<string, Method>;
  const original = target[name];
  if (typeof original !== "function") throw new Error(`there is no method ${name}: the point has moved`);
  target[name] = wrapper(original);
}

/** Before a call of a method, when its arguments match. */
export function before(owner: Owner, name: string, matches: Matches = () => true): Trap {
  return (spring) =>
    wrap(owner, name, (original) => {
      return function (...args) {
        if (matches(...(args as never[]))) spring(this, args);
        return original.apply(this, args);
      };
    });
}

/** After a method has returned; when it gives a promise, after that has resolved. */
export function after(owner: Owner, name: string, matches: Matches = () => true): Trap {
  return (spring) =>
    wrap(owner, name, (original) => {
      return function (...args) {
        const result = original.apply(this, args);
        if (!matches(...(args as never[]))) return result;
        if (!(result instanceof Promise)) {
          spring(this, args);
          return result;
        }
        return result.then((value) => {
          spring(this, args);
          return value;
        });
      };
    });
}

/** What a file operation is about: every argument that is a path, in order. */
type FileMatch = RegExp;

function file(when: typeof before, owner: object, name: string, path: FileMatch): Trap {
  return (spring) => {
    const matches = (...args: unknown[]) => args.some((arg) => typeof arg === "string" && path.test(arg));
    when(owner, name, matches as Matches)(spring);
    syncBuiltinESMExports();
  };
}

/** Before a call of `node:fs` with a path that matches: `rename`, `renameSync`, `writeFileSync` … */
export const beforeFile = (name: keyof typeof fs, path: FileMatch): Trap => file(before, fs, name, path);
/** After one. */
export const afterFile = (name: keyof typeof fs, path: FileMatch): Trap => file(after, fs, name, path);
/** Before a call of `node:fs/promises`. */
export const beforeFilePromise = (name: keyof typeof fs.promises, path: FileMatch): Trap =>
  file(before, fs.promises, name, path);
/** After one. */
export const afterFilePromise = (name: keyof typeof fs.promises, path: FileMatch): Trap =>
  file(after, fs.promises, name, path);

/** Before or after a child process is started. */
export function spawning(when: "before" | "after"): Trap {
  return (spring) => {
    (when === "before" ? before : after)(childProcess, "spawn")(spring);
    syncBuiltinESMExports();
  };
}

/** Springs at `trap`, but not before `first` was reached. */
export function following(first: Trap, trap: Trap): Trap {
  return (spring) => {
    let reached = false;
    first(() => {
      reached = true;
    });
    trap((...found) => {
      if (reached) spring(...found);
    });
  };
}

/** Before or after the commit of the transaction in which `inside` was reached. */
export function commit(when: "before" | "after", inside: Trap): Trap {
  const isCommit: Matches = (sql: string) => sql === "COMMIT";
  return following(inside, (when === "before" ? before : after)(DatabaseSync, "exec", isCommit));
}
