/** The engine `local` with the runtime `process`, as the platform puts them together. */
import type { Engine } from "../../src/engine/engine.ts";
import { createLocalEngine, type LocalEngineOptions } from "../../src/engine/local/local-engine.ts";
import { createProcessRuntime, type ProcessRuntimeOptions } from "../../src/engine/local/process/process-runtime.ts";

/** What both need. */
export type ProcessEngineOptions = LocalEngineOptions & ProcessRuntimeOptions;

/** Makes it. */
export function createProcessEngine(options: ProcessEngineOptions): Promise<Engine> {
  return createLocalEngine(options, createProcessRuntime(options));
}
