// Generates the OpenAPI document. trpc-to-openapi reads the procedures' schemas, and `complete` adds the rest. Import this
// only when the document is requested: its libraries would make each start 0.1 s slower.
import type { AnyTRPCRouter } from '@trpc/server';
import { generateOpenApiDocument, type OpenApiRouter } from 'trpc-to-openapi';
import type { oas31 } from 'zod-openapi';
import type { Config } from '../../config/config.ts';
import { createCookies } from '../cookies.ts';
import { inputSchema, listProcedures } from '../operations.ts';
import { API_PATH, VERIFY_PATH } from '../paths.ts';
import { callersOf, cookieHeaders, securityOf, sessionScheme, tokenScheme } from './access.ts';
import { describeApi, tags } from './description.ts';
import { createErrorResponses, ErrorSchema } from './errors.ts';
import { exampleOf } from './examples.ts';
import { describeForwardAuth, passScheme } from './forward-auth.ts';
import { tidy } from './tidy.ts';

/** The settings that appear in the document. */
export type DocumentConfig = Pick<Config, 'publicUrl' | 'cookieName' | 'secureCookies' | 'cookieDomain'>;

export interface DocumentOptions {
  router: AnyTRPCRouter;
  version: string;
  config: DocumentConfig;
}

type Procedure = ReturnType<typeof listProcedures>[number];
type Schemas = Record<string, oas31.SchemaObject | oas31.ReferenceObject>;

/**
 * Generates the document of a router. Its server address is relative, so that requests go to the host that served the
 * document.
 * @throws TypeError when a procedure lacks something that the document needs, such as an example or a described tag.
 */
export function createOpenApiDocument(options: DocumentOptions): oas31.OpenAPIObject {
  const { router, version } = options;
  // The library's router type requires its own meta type. It only reads `openapi`, which our meta has.
  const raw = generateOpenApiDocument(router as OpenApiRouter, { title: 'BackChannel', version, baseUrl: API_PATH });
  return complete(tidy(raw), options);
}

/** Adds everything except inputs and outputs: access, errors, examples and prose. */
function complete(generated: oas31.OpenAPIObject, options: DocumentOptions): oas31.OpenAPIObject {
  const { router, version, config } = options;
  const { publicUrl, cookieName, cookieDomain } = config;
  const cookies = cookieHeaders(createCookies(config, () => 0));
  // The schemas named error.* describe the errors of the library's own handler. Our handler responds with Error.
  const outputs = Object.entries(generated.components?.schemas ?? {}).filter(([name]) => !name.startsWith('error.'));
  const schemas: Schemas = { Error: ErrorSchema, ...Object.fromEntries(outputs) };
  const errors = createErrorResponses();

  const paths: Record<string, oas31.PathItemObject> = {};
  for (const procedure of listProcedures(router)) {
    const { path, method } = procedure.meta.openapi;
    const key = method.toLowerCase() as Lowercase<typeof method>;
    const operation = generated.paths?.[path]?.[key];
    if (!operation) throw new TypeError(`${procedure.name} is missing in the document`);
    const responses = { ...describeSuccess(operation, { procedure, cookies, schemas }), ...errors.of(procedure) };
    paths[path] = { ...paths[path], [key]: { ...describeOperation(operation, { procedure, schemas }), responses } };
  }

  paths[VERIFY_PATH.replace(API_PATH, '')] = { get: describeForwardAuth({ cookieDomain, errors }) };

  return {
    openapi: generated.openapi,
    info: {
      title: 'BackChannel',
      version,
      description: describeApi({ publicUrl }),
      contact: { name: 'The operator of this server', url: publicUrl },
      license: { name: 'MIT', url: 'https://spdx.org/licenses/MIT.html' },
    },
    servers: [{ url: API_PATH, description: 'This server' }],
    tags,
    paths,
    components: {
      schemas,
      responses: errors.components(),
      securitySchemes: {
        session: sessionScheme(cookieName),
        token: tokenScheme,
        ...passScheme(config),
      },
    },
  };
}

function describeOperation(
  operation: oas31.OperationObject,
  options: { procedure: Procedure; schemas: Schemas },
): oas31.OperationObject {
  const { procedure, schemas } = options;
  const { name, type, meta } = procedure;
  const { summary, description, tags: names } = meta.openapi;
  const unknown = names.find((tag) => !tags.some((known) => known.name === tag));
  if (unknown !== undefined) throw new TypeError(`${name} has the tag ${unknown}, which has no description`);
  const parameters = describeParameters(operation, procedure);
  if (type === 'mutation' && parameters.some((parameter) => parameter.in === 'query')) {
    throw new TypeError(`${name} would be documented with a query string, but takes its input from the body`);
  }
  const requestBody = describeBody(operation.requestBody, { procedure, schemas });
  return {
    operationId: name.replace(/\.(\w)/g, (_, letter: string) => letter.toUpperCase()),
    summary,
    description: `${description}\n\n${callersOf(type)[meta.access]}\n\ntRPC: \`${name}\` (${type})`,
    tags: names,
    security: securityOf[meta.access],
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(requestBody ? { requestBody } : {}),
  };
}

/** trpc-to-openapi loses the descriptions of optional parameters, so they are read from the input schema. */
function describeParameters(operation: oas31.OperationObject, { name, input }: Procedure): oas31.ParameterObject[] {
  const { properties = {} } = describeInput(input);
  return (operation.parameters ?? []).flatMap((parameter) => {
    if (!('name' in parameter)) return [];
    const property = properties[parameter.name];
    if (!property || !('description' in property)) {
      throw new TypeError(`${name} has the parameter ${parameter.name}, which has no description`);
    }
    const { description = '', ...schema } = property;
    return [{ name: parameter.name, in: parameter.in, required: parameter.required === true, description, schema }];
  });
}

/** Null if the body has no fields. */
function describeBody(
  body: oas31.OperationObject['requestBody'],
  options: { procedure: Procedure; schemas: Schemas },
): oas31.RequestBodyObject | null {
  const { procedure, schemas } = options;
  const generated = body && 'content' in body ? body.content['application/json']?.schema : undefined;
  if (!generated || !('properties' in generated) || Object.keys(generated.properties ?? {}).length === 0) return null;
  // trpc-to-openapi loses it if a schema checks several fields together.
  const { additionalProperties = true } = describeInput(procedure.input);
  const schema = { ...generated, additionalProperties };
  const example = exampleOf(schema, { schemas, where: `${procedure.name}'s input` });
  return { required: true, content: { 'application/json': { schema, example } } };
}

/** An input as Zod describes it: complete, including the fields in the path. */
function describeInput(input: Procedure['input']): oas31.SchemaObject {
  if (!input) return {};
  return tidy(inputSchema(input)) as oas31.SchemaObject;
}

function describeSuccess(
  operation: oas31.OperationObject,
  options: { procedure: Procedure; cookies: ReturnType<typeof cookieHeaders>; schemas: Schemas },
): oas31.ResponsesObject {
  const { procedure, cookies, schemas } = options;
  const { name, meta } = procedure;
  const response: oas31.ResponseObject | undefined = operation.responses?.['200'];
  const schema = response?.content?.['application/json']?.schema;
  if (!schema) throw new TypeError(`${name} has no output schema`);
  const example = exampleOf(schema, { schemas, where: `${name}'s output` });
  return {
    200: {
      description: meta.openapi.successDescription,
      ...(meta.cookie ? { headers: { 'Set-Cookie': cookies[meta.cookie] } } : {}),
      content: { 'application/json': { schema, example } },
    },
  };
}
