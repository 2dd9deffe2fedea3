// Errors in the OpenAPI document: their shape, and which errors an operation can return.
import type { oas31 } from 'zod-openapi';
import { type ErrorCode, errorStatuses, type Issue } from '../../errors.ts';
import { messages } from '../../messages.ts';
import type { Access } from '../../services/access/policy.ts';
import { MAX_BODY_BYTES } from '../body.ts';
import type { DescribedMeta } from '../operations.ts';

export const ErrorSchema: oas31.SchemaObject = {
  type: 'object',
  description: 'Every error under /api/v1 has this shape.',
  properties: {
    message: { type: 'string', description: 'What is wrong, for people. Programs should use `code`.' },
    code: { type: 'string', enum: Object.keys(errorStatuses), description: 'What is wrong, for a program.' },
    issues: {
      type: 'array',
      description: 'What is wrong with the input, field by field.',
      items: {
        type: 'object',
        properties: {
          path: {
            type: 'string',
            description: 'The field: names and indexes joined by dots; empty for the input as a whole.',
          },
          message: { type: 'string' },
        },
        required: ['path', 'message'],
        additionalProperties: false,
      },
    },
  },
  required: ['message', 'code'],
  additionalProperties: false,
  examples: [{ message: messages.signInFirst, code: 'UNAUTHORIZED' }],
};

interface Refusal {
  code: ErrorCode;
  when: string;
  message: string;
  issues?: Issue[];
}

const refusals = {
  InvalidInput: {
    code: 'BAD_REQUEST',
    when: 'A field in the body or in the query string is unknown, missing or invalid',
    message: messages.invalidInput,
    issues: [{ path: 'verbose', message: 'Unknown field.' }],
  },
  NotJson: {
    code: 'BAD_REQUEST',
    when: 'The body is not a JSON object',
    message: messages.notJson,
  },
  NotSignedIn: {
    code: 'UNAUTHORIZED',
    when: 'There is no live session or token',
    message: messages.signInFirst,
  },
  WrongPassword: {
    code: 'UNAUTHORIZED',
    when: 'The password is wrong',
    message: messages.wrongPassword,
  },
  WrongPasswordOfSession: {
    code: 'FORBIDDEN',
    when: 'The password is wrong; the session stays valid',
    message: messages.wrongPassword,
  },
  ScopeTooSmall: {
    code: 'FORBIDDEN',
    when: "The token's scope does not allow it",
    message: messages.scopeTooSmall('proxy'),
  },
  NoToken: {
    code: 'FORBIDDEN',
    when: 'Tokens are not allowed to do this',
    message: messages.noTokens,
  },
  NotFresh: {
    code: 'STEP_UP_REQUIRED',
    when: 'The session was not authenticated within STEP_UP_MINUTES',
    message: messages.stepUpRequired,
  },
  NoSuchSession: {
    code: 'NOT_FOUND',
    when: 'No live session has this id',
    message: messages.noSuchSession,
  },
  NoSuchToken: {
    code: 'NOT_FOUND',
    when: 'No live token has this id',
    message: messages.noSuchToken,
  },
  SetByEnvironment: {
    code: 'CONFLICT',
    when: 'The password is set in the environment; the message has the line to put there',
    message: messages.setByEnvironment("MASTER_PASSWORD_HASH='$2b$12$…'"),
  },
  Throttled: {
    code: 'TOO_MANY_REQUESTS',
    when: 'There were too many wrong passwords',
    message: messages.throttled(30),
  },
  CrossOrigin: {
    code: 'FORBIDDEN',
    when: 'A browser sent the request for a page whose origin is not in ALLOWED_ORIGINS',
    message: messages.crossOrigin('https://elsewhere.example'),
  },
  PayloadTooLarge: {
    code: 'PAYLOAD_TOO_LARGE',
    when: `The body is larger than ${MAX_BODY_BYTES / 1024} KiB`,
    message: messages.payloadTooLarge(MAX_BODY_BYTES),
  },
  UnsupportedMediaType: {
    code: 'UNSUPPORTED_MEDIA_TYPE',
    when: 'There is a body, and it is not JSON in UTF-8',
    message: messages.unsupportedMediaType('JSON', 'application/json'),
  },
  Failed: {
    code: 'INTERNAL_SERVER_ERROR',
    when: 'The server failed; see its log',
    message: messages.internal,
  },
  DatabaseAway: {
    code: 'SERVICE_UNAVAILABLE',
    when: 'The database is unavailable',
    message: messages.databaseAway,
  },
  Busy: {
    code: 'SERVICE_UNAVAILABLE',
    when: 'Too many passwords are being checked at once',
    message: messages.busy,
  },
} as const satisfies Record<string, Refusal>;
type RefusalName = keyof typeof refusals;

/** The refusal for each error code that a procedure declares in its meta. Some codes have one for each procedure. */
const declared: Partial<Record<ErrorCode | `${string} ${ErrorCode}`, RefusalName>> = {
  UNAUTHORIZED: 'WrongPassword',
  FORBIDDEN: 'WrongPasswordOfSession',
  'auth.sessions.revoke NOT_FOUND': 'NoSuchSession',
  'auth.tokens.revoke NOT_FOUND': 'NoSuchToken',
  CONFLICT: 'SetByEnvironment',
  TOO_MANY_REQUESTS: 'Throttled',
  SERVICE_UNAVAILABLE: 'Busy',
};

/** The refusals that an access level implies. */
const refusedAs: Record<Access, RefusalName[]> = {
  anyone: [],
  operator: ['NotSignedIn', 'ScopeTooSmall'],
  session: ['NotSignedIn', 'NoToken'],
  fresh: ['NotSignedIn', 'NoToken', 'NotFresh'],
};

interface Procedure {
  name: string;
  type: 'query' | 'mutation';
  meta: DescribedMeta;
}

/** All refusals of a procedure, in display order within a status. */
function refusalsOf({ name, type, meta }: Procedure): RefusalName[] {
  // A mutation reads a body if there is one, even if it needs none.
  const ofWrites: RefusalName[] = ['NotJson', 'CrossOrigin', 'PayloadTooLarge', 'UnsupportedMediaType'];
  const further = (meta.errors ?? []).map((code) => {
    const refusal = declared[`${name} ${code}`] ?? declared[code];
    if (!refusal) throw new TypeError(`${name} declares ${code}: add its meaning to \`declared\``);
    return refusal;
  });
  return [
    'InvalidInput',
    ...(type === 'mutation' ? ofWrites : []),
    ...refusedAs[meta.access],
    'Failed',
    'DatabaseAway',
    ...further,
  ];
}

/** An error response written in place, for an operation that is not a procedure. */
export const describeRefusal = (
  name: RefusalName,
  headers: Record<string, oas31.HeaderObject>,
): oas31.ResponseObject => ({
  ...describeResponse([name]),
  headers,
});

/** Returns references to error responses, and collects the responses that the document needs. */
export function createErrorResponses() {
  const used = new Map<string, oas31.ResponseObject>();
  const referTo = (all: RefusalName[]): oas31.ResponsesObject => {
    const byStatus = Map.groupBy(all, (name) => errorStatuses[refusals[name].code]);
    return Object.fromEntries(
      [...byStatus].map(([status, names]) => {
        const component = names.join('Or');
        used.set(component, describeResponse(names));
        return [status, { $ref: `#/components/responses/${component}` }];
      }),
    );
  };
  return {
    /** The error responses of a procedure by status; refusals with one status share a response. */
    of: (procedure: Procedure): oas31.ResponsesObject => referTo(refusalsOf(procedure)),
    /** The error responses of any operation that reads the database. */
    ofFailures: (): oas31.ResponsesObject => referTo(['Failed', 'DatabaseAway']),
    components: (): Record<string, oas31.ResponseObject> => Object.fromEntries(used),
  };
}

function describeResponse(names: RefusalName[]): oas31.ResponseObject {
  const all = names.map((name): Refusal => refusals[name]);
  const isForLater = all.some(({ code }) => errorStatuses[code] === 429 || errorStatuses[code] === 503);
  const bodies = all.map(({ message, code, issues }) => ({ message, code, ...(issues ? { issues } : {}) }));
  const examples = names.map((name, index) => [name, { summary: all[index]?.when, value: bodies[index] }]);
  return {
    description: `${all.map(({ when }, index) => (index === 0 ? when : uncapitalize(when))).join(', or ')}.`,
    ...(isForLater ? { headers: { 'Retry-After': retryAfter } } : {}),
    content: {
      'application/json': {
        schema: { $ref: '#/components/schemas/Error' },
        ...(bodies.length === 1 ? { example: bodies[0] } : { examples: Object.fromEntries(examples) }),
      },
    },
  };
}

const retryAfter: oas31.HeaderObject = {
  description: 'Whole seconds to wait before trying again.',
  required: true,
  schema: { type: 'integer', minimum: 1 },
  example: 2,
};

function uncapitalize(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
