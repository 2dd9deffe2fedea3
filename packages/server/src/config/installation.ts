/** How this code was installed, and so how a person runs its command line. It reads no settings. */
import { join, sep } from 'node:path';

/** Whether this code was installed from npm. Otherwise it runs from a checkout. */
export const isInstalled = import.meta.dirname.split(sep).includes('node_modules');

/** The command line's path, to run it from any folder. */
export const commandPath = isInstalled ? 'backchannel' : join(import.meta.dirname, '../../../../backchannel');

/** How to run the command line, for messages: the script in the checkout's root, or the program that npm installed. */
export const commandLine = isInstalled ? 'backchannel' : './backchannel';
