// The REST face: each procedure at the method and path in its meta. Input and output are JSON, and nothing is coerced.
import { type AnyTRPCRouter, callTRPCProcedure, TRPCError } from '@trpc/server';
import type { Request, RequestHandler, Response } from 'express';
import type { Config } from '../config/config.ts';
import { InputError } from '../errors.ts';
import { messages } from '../messages.ts';
import type { RequestLog } from '../repeated-lines.ts';
import { refuseMethod, sendError, sendJson } from './answer.ts';
import { readJsonText, readQuery, refuseFields } from './body.ts';
import type { CreateContext } from './context.ts';
import { refuseForeignOrigin } from './guard.ts';
import { createOperations } from './operations.ts';

export function createRest(options: {
  router: AnyTRPCRouter;
  config: Pick<Config, 'publicUrl' | 'allowedOrigins'>;
  createContext: CreateContext;
  log: RequestLog;
}): RequestHandler {
  const { router, config, createContext, log } = options;
  const operations = createOperations(router);

  const answer = async (req: Request, res: Response): Promise<unknown> => {
    const found = operations.find(req.path);
    if (!found) throw new TRPCError({ code: 'NOT_FOUND', message: messages.noSuchPath(req.baseUrl + req.path) });
    const operation = found.methods.get(req.method === 'HEAD' ? 'GET' : req.method);
    if (!operation) return refuseMethod(req, res, [...found.methods.keys()]);
    refuseForeignOrigin(req, config);

    const query = readQuery(req);
    // Mutations read their input only from the body, because URLs end up in histories and logs.
    if (operation.type === 'mutation') refuseFields(query);
    const body = operation.type === 'mutation' ? await readJsonText(req, res) : '';
    // Runs after the access check, so that only allowed callers learn what is wrong with the input.
    const readInput = () => {
      const fields = operation.type === 'query' ? operation.readQuery(query) : parseObject(body);
      return withPathFields(fields, found.pathFields);
    };
    return callTRPCProcedure({
      router,
      path: operation.name,
      type: operation.type,
      ctx: createContext(req, res),
      getRawInput: async () => readInput(),
      signal: undefined,
      batchIndex: 0,
    });
  };

  return (req, res) => {
    answer(req, res).then(
      (result) => {
        if (!res.writableEnded) sendJson(res, 200, result);
      },
      (error: unknown) => sendError(res, error, log),
    );
  };
}

/** Adds the fields of the path. Refuses input that repeats them. */
function withPathFields(fields: object, pathFields: Record<string, string>): object {
  for (const path of Object.keys(pathFields)) {
    if (Object.hasOwn(fields, path)) throw new InputError([{ path, message: 'This field is already in the path.' }]);
  }
  return { ...fields, ...pathFields };
}

/** Parses a JSON object. An empty body is an object without fields. */
function parseObject(text: string): object {
  if (text === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TRPCError({ code: 'PARSE_ERROR', cause });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new TRPCError({ code: 'BAD_REQUEST', message: 'The body is not a JSON object.' });
}
