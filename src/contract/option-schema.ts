import { NAMES } from "./name-patterns.ts";
import type { Shape } from "./option.ts";

/** JSON Schema (draft 2020-12) of the values that the deployment API takes for an option of this shape. */
export function jsonSchemaOf(shape: Shape): Record<string, unknown> {
  switch (shape.type) {
    case "text": {
      const { pattern, max, mayBeEmpty } = shape;
      return {
        type: "string",
        ...(pattern && { pattern: pattern.source }),
        ...(!pattern && !mayBeEmpty && { minLength: 1 }),
        ...(max !== undefined && { maxLength: max }),
      };
    }
    case "boolean":
      return { type: "boolean" };
    case "choice":
      return { type: "string", enum: [...shape.values] };
    case "integer":
    case "number":
      return {
        type: shape.type,
        ...(shape.min !== undefined && { minimum: shape.min }),
        ...(shape.above !== undefined && { exclusiveMinimum: shape.above }),
        ...(shape.max !== undefined && { maximum: shape.max }),
      };
    case "duration":
      return { type: "number", exclusiveMinimum: 0, ...(shape.max !== undefined && { maximum: shape.max }) };
    case "cpu":
    case "bytes":
      return { type: "string", pattern: NAMES[shape.type].pattern.source };
    case "list":
      return {
        type: "array",
        items: jsonSchemaOf(shape.of),
        ...(shape.min !== undefined && { minItems: shape.min }),
        ...(shape.max !== undefined && { maxItems: shape.max }),
      };
    case "env":
      return {
        type: "object",
        propertyNames: { pattern: NAMES.env.pattern.source },
        additionalProperties: { type: "string" },
      };
    case "object": {
      const fields = Object.entries(shape.fields);
      const required = fields.filter(([, option]) => option.required).map(([key]) => key);
      return {
        type: "object",
        properties: Object.fromEntries(
          fields.map(([key, option]) => [
            key,
            {
              ...jsonSchemaOf(option),
              description: option.doc,
              ...(option.default !== undefined && { default: option.default }),
            },
          ]),
        ),
        ...(required.length > 0 && { required }),
        additionalProperties: false,
      };
    }
    default:
      throw new Error(`values of type ${shape.type} are no part of the API`);
  }
}
