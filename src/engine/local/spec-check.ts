import type { AppSpec } from "../../contract/types.ts";
import type { Fault } from "../../core/errors.ts";

const UNSUPPORTED = ["requests", "scaledownAfter", "scalingMetric", "inputs", "customDomain", "clusterPool"] as const;

/** Faults of a spec that the engine `local` cannot honour, whatever its runtime: one for each such field. */
export function checkSpec(spec: AppSpec): Fault[] {
  const faults: Fault[] = UNSUPPORTED.filter((field) => spec[field] !== undefined).map((field) => ({
    path: field,
    message: `"${field}" is not honoured by the local engine yet: remove it`,
  }));
  for (const field of ["minReplicas", "maxReplicas"] as const) {
    if (spec[field] <= 1) continue;
    faults.push({
      path: field,
      message: `"${field}" ${spec[field]} is not honoured by the local engine yet: it runs one replica of an app`,
      hint: "set it to 1 or remove it",
    });
  }
  return faults;
}
