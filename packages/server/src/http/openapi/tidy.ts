// Writes generated schemas in the forms that client generators know, without changing their meaning.
import type { oas31 } from 'zod-openapi';

/** A deep copy of a document or schema, tidied. */
export function tidy<T extends object>(document: T): T {
  const named = (document as oas31.OpenAPIObject).components?.schemas ?? {};
  return JSON.parse(JSON.stringify(document), (_key, value: unknown) =>
    // Objects that are not schemas have none of these fields, so they stay as they are.
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? tidySchema(value as oas31.SchemaObject, named)
      : value,
  );
}

type Schemas = Record<string, oas31.SchemaObject | oas31.ReferenceObject>;

function tidySchema(schema: oas31.SchemaObject, named: Schemas): oas31.SchemaObject {
  // Zod also writes the format as a pattern of 200 characters.
  if (schema.format === 'date-time' || schema.format === 'date') delete schema.pattern;
  // Every JSON number that Zod accepts as an integer is within these limits.
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  return withOptionalNulls(asNullable(asPlain(schema), named));
}

/**
 * An object that may be null is not listed as required, although it is always there: the Python client of openapi-generator takes
 * null only for what is optional.
 */
function withOptionalNulls(schema: oas31.SchemaObject): oas31.SchemaObject {
  const { required, properties = {} } = schema;
  if (!Array.isArray(required)) return schema;
  const isNullableObject = (part: object = {}) => 'type' in part && String(part.type) === 'object,null';
  return { ...schema, required: required.filter((name) => !isNullableObject(properties[name])) };
}

/**
 * Writes constants and open limits in older words. Generators turn a boolean constant into an enumeration of strings, which then
 * matches no answer, and some know neither `const` nor a number in `exclusiveMinimum`.
 */
function asPlain({ const: constant, exclusiveMinimum, ...schema }: oas31.SchemaObject): oas31.SchemaObject {
  const rest = {
    ...schema,
    ...(typeof exclusiveMinimum === 'number' &&
      (schema.type === 'integer' ? { minimum: exclusiveMinimum + 1 } : { exclusiveMinimum })),
  };
  if (typeof constant === 'boolean')
    return { ...rest, type: 'boolean', description: rest.description ?? `Always ${constant}.`, examples: [constant] };
  if (typeof constant === 'string') return { ...rest, type: 'string', enum: [constant], examples: [constant] };
  if (Number.isInteger(constant))
    return { ...rest, type: 'integer', minimum: constant, maximum: constant, examples: [constant] };
  return constant === undefined ? rest : { ...rest, const: constant };
}

/**
 * Writes `{anyOf: [{type: T, …}, {type: "null"}]}` as `{type: [T, "null"], …}`. A named schema beside null is written out, since
 * generators make a class of its own, or nothing, of a choice between a name and null.
 */
function asNullable(schema: oas31.SchemaObject, named: Schemas): oas31.SchemaObject {
  const { anyOf, ...rest } = schema;
  const [first, second, ...more] = anyOf ?? [];
  if (!first || !second || more.length > 0 || !('type' in second) || second.type !== 'null') return schema;
  const target = '$ref' in first ? named[String(first.$ref).replace('#/components/schemas/', '')] : first;
  if (!target || !('type' in target) || typeof target.type !== 'string') return schema;
  if ('enum' in target || 'const' in target) return schema;
  return { ...tidy(target), ...rest, type: [target.type, 'null'] };
}
