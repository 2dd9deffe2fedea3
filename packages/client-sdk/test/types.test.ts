// Checked by `tsc`; the packed types are checked by package.test.ts.
import { expectTypeOf, test } from 'vitest';
import {
  type BackchannelClient,
  BackchannelError,
  type BackchannelErrorCode,
  type BackchannelInputs,
  type BackchannelIssue,
  type BackchannelOutputs,
} from '../src/index.ts';

type Me = Awaited<ReturnType<BackchannelClient['auth']['me']['query']>>;

test("outputs have the router's types, and not any", () => {
  expectTypeOf<Me>().not.toBeAny();
  expectTypeOf<Me>().toEqualTypeOf<BackchannelOutputs['auth']['me']>();
  expectTypeOf<Me['method']>().toEqualTypeOf<'session' | 'token'>();
  expectTypeOf<NonNullable<Me['session']>['expiresAt']>().toEqualTypeOf<string>();
  expectTypeOf<Me>().not.toHaveProperty('user');
});

test("inputs have the router's types, and not any", () => {
  expectTypeOf<BackchannelInputs['auth']['login']>().toEqualTypeOf<{
    password: string;
    remember?: boolean | undefined;
  }>();
  expectTypeOf<{ passwort: string }>().not.toExtend<BackchannelInputs['auth']['login']>();
});

test('codes are a closed list, and an error without a response has no status', () => {
  expectTypeOf<BackchannelErrorCode>().not.toEqualTypeOf<string>();
  expectTypeOf<'UNAUTHORIZED' | 'UNREACHABLE'>().toExtend<BackchannelErrorCode>();
  expectTypeOf<BackchannelError['status']>().toEqualTypeOf<number | null>();
  expectTypeOf(BackchannelError).instance.toExtend<Error>();
});

test('an issue has the type that build.ts writes for it', () => {
  expectTypeOf<BackchannelIssue>().toEqualTypeOf<{ path: string; message: string }>();
});
