# ---- downgrade: have etcd write its data as the minor version below does ----

downgrade_enabled() { # may this cluster be downgraded just now? asks without a login
  [ "$(request "$peer_url/downgrade/enabled")" = true ]
}

cluster_minor() { minor_of "$(json etcdcluster "$(request "$peer_url/version")")"; }

# etcd's own procedure: it is told where to go, writes its data as the older minor would, and only
# then the members are restarted with it. A cluster that never finished its upgrade needs none of it.
begin_downgrade() {
  doing="preparing the data for etcd $wanted"
  if nobody_has_begun && ! downgrade_enabled; then
    await_cluster_minor "$from" ||
      die "$name is not restarted: the members run etcd $from, but the cluster is still at $(cluster_minor). It is safe to run this again"
  fi
  if [ "$(cluster_minor)" != "$wanted" ] && ! heads_for "$wanted"; then
    call_off_downgrade
    for action in VALIDATE ENABLE; do
      answer=$(etcd "$endpoint" maintenance/downgrade "{\"action\":\"$action\",\"version\":\"$wanted\"}") ||
        refuse_version "etcd does not go back to $wanted: $(said "$answer")"
    done
    say "$name: the cluster prepares its data for etcd $wanted"
  fi
  prepared=''
  give_up=$(($(date +%s) + 60))
  until data_are_ready; do
    prepared=yes
    [ "$(date +%s)" -lt "$give_up" ] || {
      call_off_downgrade
      journal_tail >&2
      refuse_version "$why_not after a minute, so something is in use that $wanted does not know; the lines above may name it"
    }
    sleep 0.3
  done
  # That took a while.
  [ -z "$prepared" ] || gate
}

heads_for() { # is a downgrade to minor $1 on its way?
  downgrade_enabled || return 1
  case $(status_of "$endpoint") in *'"downgradeInfo":'*"\"targetVersion\":\"$1."*) ;; *) return 1 ;; esac
}

data_are_ready() {
  survey_members && each_row has_data_ready "$survey"
}

has_data_ready() { # a line of $survey
  [ "$(minor_of "$3")" = "$wanted" ] || fault "the cluster is at $3 for $1" || return
  # 3.5 says nothing of its storage, and 3.6 does not name that of 3.5.
  case $4 in "$wanted".* | -) ;; *) fault "the data of $1 are those of etcd $4" || return ;; esac
}

call_off_downgrade() {
  downgrade_enabled || return 0
  answer=$(etcd "$endpoint" maintenance/downgrade '{"action":"CANCEL"}') ||
    case $answer in
      *'no inflight downgrade'*) return 0 ;;
      *) die "the downgrade that was begun cannot be called off: $(said "$answer")" ;;
    esac
  say "$name: the downgrade that was begun is called off"
}
