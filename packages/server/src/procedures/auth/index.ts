// The `auth` router.
import { router } from '../../trpc.ts';
import { events } from './events.ts';
import { me, status } from './me.ts';
import { changePassword, hashPassword } from './password.ts';
import { sessions } from './sessions.ts';
import { login, logout, stepUp } from './sign-in.ts';
import { tokens } from './tokens.ts';

export const auth = router({
  login,
  logout,
  me,
  status,
  hashPassword,
  stepUp,
  changePassword,
  sessions,
  tokens,
  events,
});
