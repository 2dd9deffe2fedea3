// Makes generated schemas say what a reader needs and nothing else. Changes no meaning.
import type { oas31 } from 'zod-openapi';

/** A deep copy of a document or schema, tidied. */
export function tidy<T extends object>(document: T): T {
  return JSON.parse(JSON.stringify(document), (_key, value: unknown) =>
    // What is no schema has none of a schema's fields, and passes.
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? tidySchema(value as oas31.SchemaObject)
      : value,
  );
}

function tidySchema(schema: oas31.SchemaObject): oas31.SchemaObject {
  // Zod writes the format out as a pattern of 200 characters as well.
  if (schema.format === 'date-time' || schema.format === 'date') delete schema.pattern;
  // Every JSON number that zod takes for an integer lies within these.
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  return asNullableType(schema) ?? schema;
}

/** `{anyOf: [{type: T, …}, {type: "null"}]}` as `{type: [T, "null"], …}`. */
function asNullableType({ anyOf, ...rest }: oas31.SchemaObject): oas31.SchemaObject | null {
  const [first, second, ...more] = anyOf ?? [];
  if (!first || !second || more.length > 0 || !('type' in second) || second.type !== 'null') return null;
  if (!('type' in first) || typeof first.type !== 'string' || 'enum' in first || 'const' in first) return null;
  return { ...first, ...rest, type: [first.type, 'null'] };
}
