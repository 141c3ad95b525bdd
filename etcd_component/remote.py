"""Commands, on nodes nearly all: the only user of pulumi_command.

Every Command's text is short and holds no secret, because a failing Command prints it; secrets
go in on standard input. Every text may run again after a half-done run, because a Command runs
its update when any input changes, the connection included.
"""

import asyncio
import ipaddress
from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi_command import local, remote

from etcd_component import logins, previous
from etcd_component.contact import as_root, command_line, no_proof, proves
from etcd_component.logins import Texts
from etcd_component.model import Node
from etcd_component.render import MONITOR_PROGRAM, NODE_PROGRAM
from etcd_component.ssh import Login

# A machine that boots has eleven seconds to open its SSH port, one that is away holds up a run for
# some thirty: attempts that follow each other ever more slowly, see the provider's retries.
_DIAL_SECONDS = 2
_DIAL_ATTEMPTS = 10


class Machine:
    """Makes Commands for one node."""

    def __init__(self, node: Node, *, away: bool = False) -> None:
        """The node as the inventory describes it, its login complete unless it is `away`.

        Commands of a machine that is away for good have no script, so they never dial.
        """
        self.away = away
        self.login = node.login
        self.address = node.address

    def etcd_node(self, subcommand: str, *options: str | Sequence[str]) -> str:
        """The command line of one run of the node program, one option a line.

        `options` are flags, or pairs of a flag and its value.
        """
        return self._command_line(NODE_PROGRAM, subcommand, *options)

    def etcd_monitor(self, subcommand: str, *options: str | Sequence[str]) -> str:
        """The same for the program of the monitor's machine."""
        return self._command_line(MONITOR_PROGRAM, subcommand, *options)

    def _command_line(self, program: str, subcommand: str, *options: str | Sequence[str]) -> str:
        return command_line([*self._sudo, program, subcommand], options)

    def first_contact(self, step: str = "", *options: str | Sequence[str]) -> str:
        """The command line of `contact.start`, for a machine that may lack the program."""
        return command_line([*self._sudo, "sh", "-s", *(["--", step] if step else [])], options)

    @property
    def _sudo(self) -> Sequence[str]:
        return as_root(sudo=self.login.sudo)

    def run(
        self,
        name: str,
        *,
        opts: pulumi.ResourceOptions,
        create: pulumi.Input[str] | None,
        update: pulumi.Input[str] | None = None,
        delete: pulumi.Input[str] | None = None,
        stdin: pulumi.Input[str] | None = None,
        keep_login: pulumi.Input[bool] = True,
        machine: str | None = None,
    ) -> remote.Command:
        """A Command on this node. Without `update`, `create` runs again on any change.

        Without `create` it dials nobody before it is deleted. If nothing differs from the state but
        who logs in, nothing is done, unless `keep_login` is false. With another `machine`, `delete`
        runs on the former one, and then `create`.
        """
        texts = Texts() if self.away else Texts(create, update, delete)
        connection: pulumi.Input[remote.ConnectionArgs] = _connection(self.login)
        before = self.recorded_login(name)
        if before and before != self.login:
            keeps = pulumi.Output.all(
                keep_login, self.keeps_login(name, texts, stdin, opts.ignore_changes or [])
            ).apply(all)
            connection = keeps.apply(lambda kept: _connection(before if kept else self.login))
            texts = texts.of(keeps, before)
        made = remote.Command(
            name,
            connection=connection,
            create=texts.create,
            update=texts.update,
            delete=texts.delete,
            stdin=stdin,
            triggers=None if machine is None else [machine],
            add_previous_output_in_env=False,
            logging=None if self.away else _run_again(name),
            # A replacement must not run the old `delete` after the new `create`.
            opts=pulumi.ResourceOptions.merge(
                pulumi.ResourceOptions(delete_before_replace=True), opts
            ),
        )
        if not self.away and create is not None and not pulumi.runtime.is_dry_run():
            self._demand_proof(made, name, shown=isinstance(stdin, str))
        return made

    def _demand_proof(self, made: remote.Command, name: str, *, shown: bool) -> None:
        """Let nothing that waits for this Command begin before it is known to have run."""

        def check(stdout: str | None) -> None:
            if not proves(stdout or ""):
                where = f"{self.login.user}@{self.login.host}"
                asyncio.get_running_loop().set_exception_handler(_say_it_once)
                raise pulumi.RunError(no_proof(name, where, (stdout or "") if shown else None))

        checked = made.stdout.apply(check)

        async def once_checked(urn: str) -> str:
            # Of a Command that failed (`--continue-on-error`) or was passed over (`--target`) there
            # is nothing to check. Its URN stays known all the same: Pulumi leaves a dependency out
            # that has none, and what waits for this Command would be done.
            await checked.future()
            return urn

        # Whatever depends on a resource waits for its URN.
        made.__dict__["urn"] = made.urn.apply(once_checked)

    def recorded_login(self, name: str) -> Login | None:
        """The login that the state has for a Command, where it is one to this machine."""
        return None if self.away else logins.recorded(previous.found().command(name), self.login)

    def keeps_login(
        self,
        name: str,
        texts: Texts,
        stdin: pulumi.Input[str] | None,
        ignored: Sequence[str],
    ) -> pulumi.Output[bool]:
        """Whether a Command differs from the state's in nothing but who logs in."""
        before = previous.found().command(name)
        if before is None:
            return pulumi.Output.from_input(False)
        return logins.keeps(before, texts, stdin, ignored=ignored, logging=_run_again(name))

    @staticmethod
    def copied_to(name: str) -> str:
        """Where the state has a file that was copied; empty if it has none."""
        before = previous.found().copies.get(name)
        return before.text("remotePath") if before else ""

    def upload(
        self, name: str, source: str, path: pulumi.Input[str], opts: pulumi.ResourceOptions
    ) -> remote.CopyToRemote:
        """Copy a local file to the node; the path should name the node, see `pulumi_command`.

        A changed connection alone does not make the provider copy again.
        """
        connection: pulumi.Input[remote.ConnectionArgs] = _connection(self.login)
        before = previous.found().copies.get(name)
        other = logins.recorded(before, self.login)
        if before and other:
            connection = logins.keeps_copy(before, source, path).apply(
                lambda kept: _connection(other if kept else self.login)
            )
        return remote.CopyToRemote(
            name,
            connection=connection,
            source=pulumi.FileAsset(source),
            remote_path=path,
            opts=opts,
        )


def in_name(address: str) -> str:
    """An address without `::`, which ends a part of a resource's name."""
    return ipaddress.ip_address(address).exploded if "::" in address else address


def remember(
    name: str, value: pulumi.Input[Any], *, opts: pulumi.ResourceOptions, for_ever: bool = True
) -> pulumi.Stash:
    """What keeps for ever, as its `output`, the value that it is first given. It dials nobody.

    The `output` is known already in the first preview, and is secret if the value is, or a part of
    it. Without `for_ever` it takes what this run gives it.
    """
    # An update of a Stash leaves its output as it is, only a replacement takes the new value.
    changes = (
        pulumi.ResourceOptions(ignore_changes=["input"])
        if for_ever
        else pulumi.ResourceOptions(replace_on_changes=["input"])
    )
    return pulumi.Stash(name, input=value, opts=pulumi.ResourceOptions.merge(opts, changes))


def collect(
    name: str, *, opts: pulumi.ResourceOptions, word: pulumi.Output[str] | None = None
) -> local.Command:
    """A Command whose output is every word that it was ever given. It runs where Pulumi does.

    Without a word it keeps those that it has. Words have nothing in them that a shell reads.
    """
    if word is None:
        return local.Command(
            name,
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(ignore_changes=["*"])),
        )
    return local.Command(
        name,
        create=word.apply(lambda given: f"echo {given}"),
        # The former ones stand in the state.
        update=word.apply(lambda given: f'echo "$PULUMI_COMMAND_STDOUT" {given}'),
        opts=opts,
    )


def _say_it_once(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Spare a person the trace of everything that waited in vain; the error is told anyway."""
    if not isinstance(context.get("exception"), pulumi.RunError):
        loop.default_exception_handler(context)


def _run_again(name: str) -> remote.Logging | None:
    """A value that differs from the state's where the last run of a Command left no proof.

    It changes nothing else: this kind of logging is what there is without it. So the Command is
    updated, which runs it, and a run after that finds no difference.
    """
    before = previous.found().command(name)
    if before is None or not before.text("create"):
        return None
    said = before.inputs.get("logging")
    if not proves(before.stdout):
        said = None if said else remote.Logging.STDOUT_AND_STDERR
    return remote.Logging.STDOUT_AND_STDERR if said else None


def _connection(login: Login) -> remote.ConnectionArgs:
    proxy = remote.ProxyConnectionArgs(**_way_in(login.bastion)) if login.bastion else None
    return remote.ConnectionArgs(proxy=proxy, **_way_in(login))


def _way_in(login: Login) -> dict[str, Any]:
    """The arguments that a connection and its bastion have in common."""
    return {
        "host": login.host,
        "port": login.port,
        "user": login.user,
        "private_key": _secret(login.private_key),
        "private_key_password": _secret(login.private_key_passphrase),
        "host_key": login.host_key,
        "dial_error_limit": _DIAL_ATTEMPTS,
        "per_dial_timeout": _DIAL_SECONDS,
    }


def _secret(text: str | None) -> pulumi.Output[str] | None:
    return None if text is None else pulumi.Output.secret(text)
