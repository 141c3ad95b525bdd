"""Access: who may log in, and what they may do. RBAC is always on, and root has a password.

Roles and users are changed by one node, one after another: etcd refuses a request that crosses a
change of access, and whoever declares a user wants its role to be there.
"""

import functools
import json
from collections.abc import Sequence

import pulumi

from etcd_component.model import Cluster, Instance, Permission, Role, User
from etcd_component.remote import Machine, remember
from etcd_component.root import generated_password, login_line


def _password(cluster: Cluster, user: User, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """A user's password: the one that is given, else one made once for each generation and kept."""
    if user.password is not None:
        return pulumi.Output.secret(user.password)
    kept = remember(
        f"{cluster.name}-password-{user.name}-{user.password_generation}",
        pulumi.Output.secret(generated_password()),
        opts=opts,
    )
    return kept.output.apply(_present)


def _present(text: str | None) -> str:
    if text is None:
        raise ValueError("the state has lost a generated password")
    return text


def switch_on(
    cluster: Cluster,
    owner: pulumi.Output[str],
    login: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> pulumi.Resource:
    """User and role root, and `auth enable`; proved by being refused without a login."""
    first = cluster.voters[0]
    machine = Machine(first.node)
    # What stays must be known where the password changes: what goes is deleted with the former.
    changes = cluster.settings.root_password_generation > 1
    stays = [("--peers", cluster.peers_of(first)), *_declared(cluster)] if changes else []
    return machine.run(
        f"{cluster.name}-access",
        create=owner.apply(
            lambda mark: machine.etcd_node("access", *_options(first, mark), *stays)
        ),
        stdin=login,
        opts=opts,
    )


def _declared(cluster: Cluster) -> list[Sequence[str]]:
    return [
        *(("--role", one.name) for one in cluster.all_roles),
        *(("--user", one.name) for one in cluster.all_users),
    ]


def _options(first: Instance, owner: str) -> list[Sequence[str]]:
    repair = [("--repair", str(first.repair))] if first.repair else []
    # `--name` is that of a role or user.
    meant = [("--owner", owner), ("--instance", first.name)]
    return [("--cluster", first.cluster), *meant, *repair]


class Declaration:
    """What makes roles and users what is declared: one Command, in one login to one machine.

    The official provider keeps each Command's connection to the end of the run, so a Command for
    each user would be a session for each. A role or user has a Command all the same, which dials
    only when it is deleted.
    """

    passwords: dict[str, pulumi.Output[str]]
    """By user, those of clients included; known when the user has it."""
    done: list[pulumi.Resource]
    """The Commands, in order."""

    def __init__(
        self,
        cluster: Cluster,
        owner: pulumi.Output[str],
        login: pulumi.Output[str],
        genesis: pulumi.Resource,
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Roles come first, since users need them, and are removed last.

        `owner` is the mark of the stack, `login` root's; `genesis` goes when the whole cluster
        goes, and its users with it.
        """
        self._cluster = cluster
        self._owner = owner
        self._login = login
        self._opts = pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(deleted_with=genesis)
        )
        self._machine = Machine(cluster.voters[0].node)
        self.passwords = {}
        self.done = []
        passwords = {one.name: _password(cluster, one, opts) for one in cluster.all_users}
        for role in cluster.all_roles:
            self._removed_with_its_line("role", role.name, pulumi.Output.from_input(_shown(role)))
        for user in cluster.all_users:
            content = passwords[user.name].apply(functools.partial(_user_line, user))
            self._removed_with_its_line("user", user.name, content)
        if self.done or cluster.settings.undeclared_access == "remove":
            made = self._declare(passwords)
            # Nobody is given a password that etcd does not take yet.
            self.passwords = {
                name: pulumi.Output.all(password, made.urn).apply(_first)
                for name, password in passwords.items()
            }

    def _removed_with_its_line(self, kind: str, name: str, content: pulumi.Output[str]) -> None:
        """A row in previews, which is updated when the content is another, and dials nobody then.

        The content follows root's login on standard input, where removing passes over it.
        """
        self._run(
            f"{kind}-{name}",
            None,
            delete=self._command(f"drop-{kind}", ("--name", name)),
            stdin=pulumi.Output.concat(self._login, content),
        )

    def _declare(self, passwords: dict[str, pulumi.Output[str]]) -> pulumi.Resource:
        cluster = self._cluster
        remove = ["--remove"] if cluster.settings.undeclared_access == "remove" else []
        lines: list[Sequence[str]] = []
        for role in cluster.all_roles:
            lines.append(("--role", role.name))
            lines += (("--role-grant", role.name, *_words(one)) for one in role.permissions)
        for user in cluster.all_users:
            lines.append(("--user", user.name))
            lines += (("--user-role", user.name, one) for one in user.roles)
        logins = [
            password.apply(functools.partial(login_line, name))
            for name, password in passwords.items()
        ]
        return self._run(
            "declared",
            self._command("declare", *remove, *lines),
            stdin=pulumi.Output.concat(self._login, *logins),
        )

    def _command(self, subcommand: str, *options: str | Sequence[str]) -> pulumi.Output[str]:
        first = self._cluster.voters[0]
        return self._owner.apply(
            lambda mark: self._machine.etcd_node(subcommand, *_options(first, mark), *options)
        )

    def _run(
        self,
        name: str,
        create: pulumi.Output[str] | None,
        *,
        stdin: pulumi.Output[str],
        delete: pulumi.Output[str] | None = None,
    ) -> pulumi.Resource:
        before = pulumi.ResourceOptions(depends_on=self.done[-1:])
        made = self._machine.run(
            f"{self._cluster.name}-{name}",
            create=create,
            delete=delete,
            stdin=stdin,
            opts=pulumi.ResourceOptions.merge(self._opts, before),
        )
        self.done.append(made)
        return made


def _shown(role: Role) -> str:
    """A role as a line of JSON, as logins are."""
    granted = [_words(one) for one in role.permissions]
    return json.dumps({"name": f"role {role.name}", "permissions": granted}) + "\n"


def _user_line(user: User, password: str) -> str:
    """The same of a user."""
    return json.dumps({"name": user.name, "password": password, "roles": list(user.roles)}) + "\n"


def _words(permission: Permission) -> Sequence[str]:
    """A permission as words of the node program's options, for a person to read in a preview."""
    end = [] if permission.range_end is None else [permission.range_end]
    return (permission.access, permission.scope, permission.key, *end)


def _first(known: Sequence[str]) -> str:
    return known[0]
