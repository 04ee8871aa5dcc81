/** Progress as data: what the deploy pipeline yields. Renderers in `ui/` draw it; nothing here knows a terminal. */

/** Progress of making an image. `done` and `total` count packages or blobs, or bytes where `unit` says so. */
export interface BuildProgress {
  step: "resolve" | "install" | "layer" | "upload";
  message: string;
  done?: number;
  total?: number;
  unit?: "bytes";
  /** Who is at work, when it is not this machine. */
  by?: "platform";
}

/** One step of a deploy, in the order in which it happened. */
export type DeployEvent =
  /** `here`: only this machine has what was found; it goes where that name leads together with the app. */
  | {
      type: "image";
      state: "found" | "missing" | "forced" | "built";
      reference: string;
      digest?: string;
      here?: boolean;
    }
  | ({ type: "build" } & BuildProgress)
  /** What the registry has now: on its base, which the platform's own copy need not have. */
  | { type: "pushed"; app: string; reference: string; digest: string }
  | { type: "warning"; message: string }
  | { type: "deploying"; app: string; project: string; domain: string; consoleUrl: string; deployment: number }
  | { type: "status"; phase: "Pending" | "Started" | "Failed"; reason: string; message: string }
  | {
      type: "succeeded";
      app: string;
      endpoint: string;
      revision: string;
      image: string;
      digest: string;
      consoleUrl: string;
      unchanged: boolean;
    };
