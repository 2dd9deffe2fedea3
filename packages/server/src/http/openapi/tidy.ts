// Removes noise from generated schemas without changing their meaning.
import type { oas31 } from 'zod-openapi';

/** A deep copy of a document or schema, tidied. */
export function tidy<T extends object>(document: T): T {
  return JSON.parse(JSON.stringify(document), (_key, value: unknown) =>
    // Objects that are not schemas have none of these fields, so they stay as they are.
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? tidySchema(value as oas31.SchemaObject)
      : value,
  );
}

function tidySchema(schema: oas31.SchemaObject): oas31.SchemaObject {
  // Zod also writes the format as a pattern of 200 characters.
  if (schema.format === 'date-time' || schema.format === 'date') delete schema.pattern;
  // Every JSON number that Zod accepts as an integer is within these limits.
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  return asNullableType(schema) ?? schema;
}

/** Writes `{anyOf: [{type: T, …}, {type: "null"}]}` as `{type: [T, "null"], …}`. */
function asNullableType({ anyOf, ...rest }: oas31.SchemaObject): oas31.SchemaObject | null {
  const [first, second, ...more] = anyOf ?? [];
  if (!first || !second || more.length > 0 || !('type' in second) || second.type !== 'null') return null;
  if (!('type' in first) || typeof first.type !== 'string' || 'enum' in first || 'const' in first) return null;
  return { ...first, ...rest, type: [first.type, 'null'] };
}
