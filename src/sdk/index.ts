/** What a user's file imports from "appctl". */
export { App, type AppOptions } from "./app.ts";
export type { AppProgram, AppSettings } from "./app-settings.ts";
export type { FrameworkApp } from "./framework-app.ts";
export { ImageSpec } from "./image-spec.ts";
export type * from "./options.ts";
export { Remote, type RemoteApp, RemoteError, type RemoteOptions } from "./remote.ts";
export { Resources } from "./resources.ts";
export { Secret } from "./secret.ts";
