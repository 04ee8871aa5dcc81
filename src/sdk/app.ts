import type { AppProgram, AppSettings } from "./app-settings.ts";
import { brand } from "./brand.ts";

/** Options of an {@link App}: `name`, and exactly one of `frameworkApp`, `args` and `command`. */
export type AppOptions = AppSettings<App> & AppProgram;

/** A web app that `appctl deploy apps FILE NAME` can deploy. Export it from the file; `NAME` is its `name`. */
export class App {
  readonly name: string;
  readonly options: Readonly<AppOptions>;

  constructor(options: AppOptions) {
    brand(this, "App");
    this.name = options?.name;
    this.options = options ?? ({} as AppOptions);
  }
}
