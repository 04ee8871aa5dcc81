/** A step of a deployment. */
export interface StatusStep {
  phase: "Pending" | "Started" | "Failed";
  /** A condition's reason, such as `RevisionMissing`; may be empty. */
  reason: string;
  message: string;
}

/** The line that the terminal and the console show of a step: `[Status] Pending: RevisionMissing: …`. `paint` colors the phase. */
export function statusLine({ phase, reason, message }: StatusStep, paint = (text: string): string => text): string {
  return `[Status] ${[paint(phase), ...(reason ? [reason] : []), message].join(": ")}`;
}
