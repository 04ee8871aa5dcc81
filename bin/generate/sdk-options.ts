import {
  APP_OPTIONS,
  INPUT_OPTIONS,
  LINK_OPTIONS,
  PERMISSIONS,
  RESOURCES_OPTIONS,
  SCALING_METRIC_OPTIONS,
  SECRET_OPTIONS,
} from "../../src/contract/app-options.ts";
import { IMAGE_OPTIONS } from "../../src/contract/image-options.ts";
import type { Option, OptionTable, Shape } from "../../src/contract/option.ts";

const NOTE = `Generated from the tables of \`src/contract/\` by \`npm run generate\`: change them there.`;

/** Text of `src/sdk/options.ts`: the options of all classes but App. */
export function sdkOptions(): string {
  return `/**
 * Options of the SDK's classes. ${NOTE}
 * Nothing is checked here: constructors never throw, and \`appctl deploy\` reports every fault of a file together.
 */

/** A duration: seconds as a number, or text such as \`"90s"\`, \`"10m"\`, \`"1h"\`, \`"500ms"\`. */
export type Duration = number | string;

/** What an app may do besides computing, and reading and writing its own files. */
export type Permission = ${choices(PERMISSIONS)};

${type("ImageSpecOptions", "Options of an {@link ImageSpec}.", IMAGE_OPTIONS)}
${type("SecretOptions", "Options of a {@link Secret}.", SECRET_OPTIONS)}
${type("ResourcesOptions", "Amounts in Kubernetes' notation.", RESOURCES_OPTIONS)}
${type("Input", "A value for the app that is resolved at deploy time.", INPUT_OPTIONS)}
${type("Link", "A link that the console shows next to the app.", LINK_OPTIONS)}
${type("ScalingMetric", "When to add replicas.", SCALING_METRIC_OPTIONS)}`;
}

/** Text of `src/sdk/app-settings.ts`: the options of App, as far as they do not name App itself. */
export function sdkAppSettings(): string {
  const all = Object.entries<Option>(APP_OPTIONS);
  const programs = all.filter(([, { program }]) => program);
  const others = Object.fromEntries(all.filter(([, { program }]) => !program));
  const ways = programs.map(([name]) => {
    const fields = programs.map(([key, option]) =>
      key === name ? field(key, { ...option, required: true }) : `  ${key}?: undefined;\n`,
    );
    return `{\n${fields.join("")}}`;
  });
  return `/** Options of App. ${NOTE} */
import type { FrameworkApp } from "./framework-app.ts";
import type { ImageSpec } from "./image-spec.ts";
import type {
  Duration,
  ImageSpecOptions,
  Input,
  Link,
  Permission,
  ResourcesOptions,
  ScalingMetric,
} from "./options.ts";
import type { Resources } from "./resources.ts";
import type { Secret } from "./secret.ts";

${type("AppSettings<App>", "Options of an App, without the one that says what runs.", others)}
/** What an App runs: exactly one of ${code(programs.map(([name]) => name))}. */
export type AppProgram =${ways.map((way) => `\n  | ${way.replaceAll("\n", "\n    ")}`).join("")};
`;
}

function type(name: string, doc: string, table: OptionTable): string {
  const fields = Object.entries(table).map(([key, option]) => field(key, option));
  return `/** ${doc} */\nexport interface ${name} {\n${fields.join("")}}\n`;
}

function field(key: string, option: Option): string {
  return `${comment(option.doc)}  ${key}${option.required ? "" : "?"}: ${typeOf(option)};\n`;
}

/** A doc comment with an indent of two, on as many lines as it needs. */
function comment(doc: string): string {
  if (doc.length <= 110) return `  /** ${doc} */\n`;
  const lines: string[] = [];
  for (const word of doc.split(" ")) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + word.length < 114) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return `  /**\n${lines.map((line) => `   * ${line}\n`).join("")}   */\n`;
}

function typeOf(shape: Shape): string {
  switch (shape.type) {
    case "text":
      return "string";
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    case "choice":
      return shape.values === PERMISSIONS ? "Permission" : choices(shape.values);
    case "duration":
      return "Duration";
    case "cpu":
    case "bytes":
      return "string | number";
    case "list": {
      const item = typeOf(shape.of);
      return `${shape.orOne ? `${item} | ` : ""}${item}[]`;
    }
    case "env":
      return "Record<string, string>";
    case "object":
      return shape.owner === "Resources" ? "Resources | ResourcesOptions" : shape.typeName;
    case "framework-app":
      return "FrameworkApp";
    case "image-spec":
      return "ImageSpec | ImageSpecOptions";
    case "apps":
      return "App[]";
  }
}

function choices(values: readonly string[]): string {
  return values.map((value) => JSON.stringify(value)).join(" | ");
}

function code(names: string[]): string {
  return names
    .map((name) => `\`${name}\``)
    .join(", ")
    .replace(/, ([^,]+)$/, " and $1");
}
