// `backchannel completion`: a script by which a shell completes the words of this command line, procedures too.
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
    'Prints a script by which the SHELL, bash, zsh or fish, completes commands, options and procedures. Its first lines say\n' +
    'where it goes: in ~/.bashrc, "source <(backchannel completion bash)".',
  options: {},
  argument: 'SHELL',
  choices: shells,
  run: async (_values, { argument: shell }) => {
    const script = shell !== undefined && Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
    if (!script) throw badUsage(`completion takes the shell's name: ${shells.join(', ')}`);
    // When it is asked for, or the two would load each other.
    const { loadCommands } = await import('../commands.ts');
    const text = script(await listPlaces(await loadCommands()));
    return { text, json: { shell, script: text } };
  },
});
