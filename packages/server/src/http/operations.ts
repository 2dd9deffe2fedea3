// The table of REST operations, built from the procedures' meta. It maps a method and path to a procedure, and converts
// query strings to the procedure's input.
import type { AnyTRPCProcedure, AnyTRPCRouter } from '@trpc/server';
import { z } from 'zod';
import type { Meta } from '../trpc.ts';

interface Operation {
  /** The procedure's name, such as `auth.login`. */
  name: string;
  type: 'query' | 'mutation';
  /** Converts each parameter as its documented schema says. Text that does not match stays text, and validation rejects it. */
  readQuery(query: Record<string, string>): Record<string, unknown>;
}

/** Meta with everything that a face needs. */
export type DescribedMeta = Meta & Required<Pick<Meta, 'access' | 'openapi'>>;

interface Described {
  name: string;
  type: Operation['type'];
  meta: DescribedMeta;
  input: z.ZodType | null;
}

/** Every procedure with its meta and input schema, in the order of the router. */
export function listProcedures(router: AnyTRPCRouter): Described[] {
  return Object.entries<AnyTRPCProcedure>(router._def.procedures).map(([name, procedure]) => {
    const { type } = procedure._def;
    const meta = (procedure._def.meta ?? {}) as Meta;
    if (type === 'subscription' || !meta.openapi || !meta.access) {
      throw new TypeError(`${name} has no path or access: create it with a builder from trpc.ts, and add openapi meta`);
    }
    return { name, type, meta: { ...meta, access: meta.access, openapi: meta.openapi }, input: inputOf(procedure) };
  });
}

function inputOf(procedure: AnyTRPCProcedure): z.ZodType | null {
  const inputs = 'inputs' in procedure._def && Array.isArray(procedure._def.inputs) ? procedure._def.inputs : [];
  const [input]: unknown[] = inputs;
  return input instanceof z.ZodType ? input : null;
}

/** An input as JSON Schema, as callers send it. */
export const inputSchema = (input: z.ZodType) => z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' });

interface Route {
  /** For a `{name}` in the path, `text` is the field's name. */
  segments: readonly { text: string; isField: boolean }[];
  methods: Map<string, Operation>;
}

export interface Found {
  methods: ReadonlyMap<string, Operation>;
  pathFields: Record<string, string>;
}

/**
 * The operations of a router by path below /api/v1. Paths match exactly, including case and slashes. They are not decoded,
 * because ids consist of characters that need no encoding.
 * @throws TypeError when two procedures have the same method and path.
 */
export function createOperations(router: AnyTRPCRouter): { find(path: string): Found | null } {
  const exact = new Map<string, Route>();
  const withFields = new Map<string, Route>();
  for (const { name, type, meta, input } of listProcedures(router)) {
    const { method, path } = meta.openapi;
    const segments = path
      .split('/')
      .map((text) => ({ text: text.replace(/^\{(.+)\}$/, '$1'), isField: /^\{/.test(text) }));
    const shape = path.replace(/\{[^}]+\}/g, '{}');
    const routes = segments.some(({ isField }) => isField) ? withFields : exact;
    const route = routes.get(shape) ?? { segments, methods: new Map() };
    if (route.methods.has(method))
      throw new TypeError(`${name} has the same method and path as another procedure: ${method} ${path}`);
    route.methods.set(method, { name, type, readQuery: queryReader(input) });
    routes.set(shape, route);
  }

  return {
    find: (path) => {
      const route = exact.get(path);
      if (route) return { methods: route.methods, pathFields: {} };
      const parts = path.split('/');
      for (const { segments, methods } of withFields.values()) {
        const pathFields = match(parts, segments);
        if (pathFields) return { methods, pathFields };
      }
      return null;
    },
  };
}

function match(parts: readonly string[], segments: Route['segments']): Record<string, string> | null {
  if (parts.length !== segments.length) return null;
  const fields: Record<string, string> = {};
  for (const [index, { text, isField }] of segments.entries()) {
    const part = parts[index] ?? '';
    if (isField && part !== '') fields[text] = part;
    else if (isField || part !== text) return null;
  }
  return fields;
}

const converters: Record<string, (text: string) => unknown> = {
  integer: (text) => (/^-?(0|[1-9]\d{0,14})$/.test(text) ? Number(text) : text),
  boolean: (text) => (text === 'true' ? true : text === 'false' ? false : text),
};

function queryReader(input: z.ZodType | null): Operation['readQuery'] {
  const schema = input ? inputSchema(input) : null;
  const types = new Map(
    Object.entries(schema?.properties ?? {}).map(([name, property]) => [
      name,
      typeof property === 'object' && property !== null && 'type' in property ? String(property.type) : '',
    ]),
  );
  return (query) =>
    Object.fromEntries(
      Object.entries(query).map(([name, text]) => [name, converters[types.get(name) ?? '']?.(text) ?? text]),
    );
}
