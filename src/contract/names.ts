/** The names that requests carry, as zod schemas. */
import * as z from "zod";
import { NAMES, type NamePattern } from "./name-patterns.ts";

const named = ({ pattern, rule }: NamePattern) => z.string().regex(pattern, rule);

export const Names = {
  appName: named(NAMES.app),
  scopeSegment: named(NAMES.scope),
  secretName: named(NAMES.secret),
  envName: named(NAMES.env),
  digest: named(NAMES.digest),
};
