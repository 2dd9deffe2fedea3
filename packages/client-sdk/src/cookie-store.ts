// Keeps a jar's content where the caller says, so that a session outlives the process. It knows no file and no format.
import type { CookieJar } from './cookies.ts';
import { BackchannelError } from './errors.ts';

/**
 * Where the cookies of a client outside a browser are kept between two runs. The text is a secret: whoever has it is
 * signed in. Either function may answer at once or with a promise.
 */
export interface CookieStore {
  /**
   * What `save` was given last; null, undefined or '' when there is nothing. Called once, before the first request. A
   * text that is damaged, or another server's, is passed over: the client is signed out then.
   */
  load(): string | null | undefined | Promise<string | null | undefined>;
  /**
   * Keeps the text in place of the one before. Called when an answer has changed the cookies (after signing in or out,
   * not after each call), before that call resolves, and never while it still runs.
   */
  save(cookies: string): void | Promise<void>;
}

export interface KeptCookies {
  /** Resolves when what was kept is in the jar. */
  loaded(): Promise<void>;
  /** Says that an answer had cookies in it. */
  touch(): void;
  /** Resolves when the store has what the jar has. */
  saved(): Promise<void>;
}

/** Each rejects with a BackchannelError when the store's own function fails; the next call then tries it again. */
export function createKeptCookies(jar: CookieJar, store: CookieStore): KeptCookies {
  let loading: Promise<void> | null = null;
  let saving: Promise<void> = Promise.resolve();
  let keptText = '';
  let isTouched = false;

  const load = async () => {
    try {
      jar.restore((await store.load()) ?? '');
      keptText = jar.snapshot();
    } catch (cause) {
      throw storeError('load', cause, 'nothing was sent');
    }
  };

  const save = async () => {
    if (!isTouched) return;
    isTouched = false;
    const text = jar.snapshot();
    if (text === keptText) return;
    try {
      await store.save(text);
      keptText = text;
    } catch (cause) {
      isTouched = true;
      throw storeError('save', cause, 'the server has answered, and this client goes on with its new cookies');
    }
  };

  return {
    loaded: () => {
      loading ??= load().catch((error: unknown) => {
        loading = null;
        throw error;
      });
      return loading;
    },
    touch: () => {
      isTouched = true;
    },
    saved: () => {
      // One after another, each with what the jar has by then: the last to be written is the last state.
      const mine = saving.then(save);
      saving = mine.catch(() => {});
      return mine;
    },
  };
}

function storeError(name: keyof CookieStore, cause: unknown, consequence: string): BackchannelError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new BackchannelError(`cookies.${name} failed: ${reason}; ${consequence}.`, {
    code: 'COOKIE_STORE_FAILED',
    cause,
  });
}
