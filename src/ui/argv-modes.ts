import { TARGET_FLAGS, type Target } from "../core/command-line.ts";
import { type ColorMode, OUTPUT_MODES, type OutputMode } from "./io.ts";

/** How a failure is to be printed. */
export interface FailureModes {
  output: OutputMode;
  color: ColorMode;
  verbose: boolean;
  /** Flags that say where the command line goes, with their values: a command to type next needs them, too. */
  target: Target;
}

/** Reads {@link FailureModes} from arguments that may be wrong otherwise: even a usage error honours `-o json`. */
export function modesIn(argv: readonly string[]): FailureModes {
  const end = argv.indexOf("--");
  const args = end < 0 ? argv : argv.slice(0, end);
  return {
    output: OUTPUT_MODES.find((mode) => mode === lastValue(args, "--output", "-o")) ?? "text",
    color: (["always", "never"] as const).find((mode) => mode === lastValue(args, "--color")) ?? "auto",
    verbose: args.includes("--verbose"),
    target: TARGET_FLAGS.flatMap((flag) => {
      const value = lastValue(args, flag);
      return value === undefined ? [] : [[flag, value] as const];
    }),
  };
}

function lastValue(args: readonly string[], long: string, short?: string): string | undefined {
  let value: string | undefined;
  args.forEach((arg, index) => {
    if (arg === long || arg === short) value = args[index + 1];
    else if (arg.startsWith(`${long}=`)) value = arg.slice(long.length + 1);
    else if (short && arg.startsWith(short) && !arg.startsWith("--")) value = arg.slice(short.length);
  });
  return value;
}
