// The procedures of the router that this command line comes with: their names, who may call them, and their input. Loading
// the router opens nothing.
import { nearest } from '@backchannel/server/checks/nearest';
import { commandLine } from '@backchannel/server/installation';
import { badUsage } from '../failure.ts';
import { table } from '../table.ts';

export type Procedure = Awaited<ReturnType<typeof loadProcedures>>[number];

/** All procedures, in the order of the router. */
export async function loadProcedures() {
  const [{ appRouter }, { listProcedures }] = await Promise.all([
    import('@backchannel/server/router'),
    import('@backchannel/server/operations'),
  ]);
  return listProcedures(appRouter);
}

/** @throws Failure with exit code 2 when there is no procedure of that name. */
export async function findProcedure(name: string): Promise<Procedure> {
  const procedures = await loadProcedures();
  const found = procedures.find((procedure) => procedure.name === name);
  if (found) return found;
  const meant = nearest(
    name,
    procedures.map((procedure) => procedure.name),
  );
  const hint = meant ? `Did you mean ${meant}?` : `See: ${commandLine} call --list`;
  throw badUsage(`unknown procedure ${JSON.stringify(name)}. ${hint}`);
}

/** The same word as in the README's table of operations. */
function whoMayCall({ type, meta }: Procedure): string {
  if (meta.access !== 'operator') return meta.access;
  return type === 'query' ? 'read' : 'full';
}

const inWords: Readonly<Record<string, string>> = {
  anyone: 'anyone',
  read: 'a session, or a token of scope read or full',
  full: 'a session, or a token of scope full',
  session: 'a session, not a token (use --password)',
  fresh: 'a session, not a token (use --password)',
};

/** One line each, for people. */
export function listOf(procedures: readonly Procedure[]): string {
  const rows = procedures.map((procedure) => [
    procedure.name,
    procedure.type,
    whoMayCall(procedure),
    procedure.meta.openapi.summary,
  ]);
  return table([['PROCEDURE', 'TYPE', 'WHO', 'DOES'], ...rows]);
}

interface Field {
  type?: string;
  enum?: readonly unknown[];
  description?: string;
}

/** The input of a procedure as JSON Schema; null if it takes none. */
async function schemaOf({ input }: Procedure) {
  const { inputSchema } = await import('@backchannel/server/operations');
  const schema = input ? inputSchema(input) : null;
  return schema && Object.keys(schema.properties ?? {}).length > 0 ? schema : null;
}

/** The fields of a procedure's input, by name. */
export async function fieldsOf(procedure: Procedure): Promise<[name: string, field: Field & { format?: string }][]> {
  return Object.entries((await schemaOf(procedure))?.properties ?? {}) as [string, Field][];
}

/** The full description of a procedure, for people. */
export async function describe(procedure: Procedure): Promise<string> {
  const { name, type, meta } = procedure;
  const { required = [] } = (await schemaOf(procedure)) ?? {};
  const rows = (await fieldsOf(procedure)).map(([field, { type: kind = '', enum: values, description = '' }]) => [
    `  ${field}${required.includes(field) ? '' : '?'}`,
    values ? values.join('|') : kind,
    description,
  ]);
  return [
    `${name} (${type}): ${meta.openapi.summary}`,
    meta.openapi.description,
    `For ${inWords[whoMayCall(procedure)]}. Over REST: ${meta.openapi.method} /api/v1${meta.openapi.path}`,
    rows.length > 0 ? `Input:\n${table(rows)}` : 'It takes no input.',
  ].join('\n\n');
}

/** The full description of a procedure, for scripts. */
export async function toJson(procedure: Procedure): Promise<Record<string, unknown>> {
  const { name, type, meta } = procedure;
  const { method, path, summary, description } = meta.openapi;
  const input = await schemaOf(procedure);
  return { name, type, who: whoMayCall(procedure), method, path, summary, description, input };
}
