// Builds examples of whole bodies from the examples in their schemas.
import type { oas31 } from 'zod-openapi';

type Schema = oas31.SchemaObject | oas31.ReferenceObject;

/** The same time everywhere, so that examples agree with each other. */
const byFormat: Record<string, string> = { 'date-time': '2026-03-14T09:26:53.000Z', date: '2026-03-14' };

/**
 * Returns the schema's own example. Without one, returns the first value that it allows, or builds an example from its parts.
 * @throws TypeError when a part has no example; `where` names the schema.
 */
export function exampleOf(schema: Schema, options: { schemas: Record<string, Schema>; where: string }): unknown {
  const { schemas, where } = options;
  if ('$ref' in schema) {
    const name = schema.$ref.replace('#/components/schemas/', '');
    const target = schemas[name];
    if (!target) throw new TypeError(`${where}: there is no ${schema.$ref}`);
    return exampleOf(target, { schemas, where: name });
  }
  const { examples, const: only, enum: values, anyOf, properties, items, format = '' } = schema;
  if (examples && examples.length > 0) return examples[0];
  if (only !== undefined) return only;
  if (values && values.length > 0) return values[0];
  const [first] = anyOf ?? [];
  if (first) return exampleOf(first, options);
  if (properties) {
    return Object.fromEntries(
      Object.entries(properties).map(([name, part]) => [
        name,
        exampleOf(part, { schemas, where: `${where}, ${name}` }),
      ]),
    );
  }
  if (items) return [exampleOf(items, options)];
  if (format in byFormat) return byFormat[format];
  throw new TypeError(`${where} has no example`);
}
