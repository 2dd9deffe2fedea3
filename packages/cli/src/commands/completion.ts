// `backchannel completion`: prints a script with which a shell completes commands, options and procedures.
import { commandPath } from '@backchannel/server/installation';
import { defineCommand } from '../command.ts';
import { fishScript } from '../completion/fish.ts';
import { listPlaces, type Place } from '../completion/places.ts';
import { bashScript, zshScript } from '../completion/posix.ts';
import { badUsage } from '../failure.ts';

const scripts: Readonly<Record<string, (places: readonly Place[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};
const shells = Object.keys(scripts);

export const command = defineCommand({
  usage: 'completion SHELL',
  about:
    'Prints a script that completes commands, options and procedures in SHELL: bash, zsh or fish. Its first lines say how to\n' +
    `install it. For bash, add this line to ~/.bashrc:\nsource <(${commandPath} completion bash)`,
  options: {},
  argument: 'SHELL',
  choices: shells,
  run: async (_values, { argument: shell }) => {
    const script = shell !== undefined && Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
    if (!script) throw badUsage(`completion needs the name of a shell: ${shells.join(', ')}`);
    // Loaded here, because the two modules would otherwise import each other.
    const { loadCommands } = await import('../commands.ts');
    const text = script(await listPlaces(await loadCommands()));
    return { text, json: { shell, script: text } };
  },
});
