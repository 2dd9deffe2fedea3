// Saves the content of a cookie jar to a store that the caller provides, so a session survives the process. It knows no file
// and no format.
import type { CookieJar } from './cookies.ts';
import { BackchannelError } from './errors.ts';

/**
 * Keeps the cookies of a client outside a browser between two runs. The text is a secret: anyone who has it is signed in.
 * Either function may return its result directly or as a promise.
 */
export interface CookieStore {
  /**
   * Returns the text that `save` got last; null, undefined or '' if there is none. Called once, before the first request.
   * A text that is damaged or belongs to another server is ignored, and the client starts signed out.
   */
  load(): string | null | undefined | Promise<string | null | undefined>;
  /**
   * Replaces the stored text. Called when a response has changed the cookies: after signing in or out, not after each call.
   * The call resolves only when `save` has finished. `save` is never called while an earlier `save` is still running.
   */
  save(cookies: string): void | Promise<void>;
}

export interface KeptCookies {
  /** Resolves when the jar has the stored cookies. */
  loaded(): Promise<void>;
  /** Marks the jar as changed: a response contained cookies. */
  touch(): void;
  /** Resolves when the store has the jar's content. */
  saved(): Promise<void>;
}

/** `loaded` and `saved` reject with a BackchannelError when the store's function fails. The next call tries it again. */
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
      throw storeError('save', cause, 'the server has responded, and this client continues with its new cookies');
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
      // Saves run one after another, each with the jar's content at that time, so the last one writes the latest state.
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
