#!/bin/sh
# The rows as they were at a point, in the empty folder of a database that does not run. By the database's user.
#
#   POINT    what backup.sh printed, a folder of BACKUPS
#   BACKUPS  the folder of all backups
#   ARCHIVE  the folder that archive_command fills
#   PGDATA   the database's folder
set -eu
: "${POINT:?}" "${BACKUPS:?}" "${ARCHIVE:?}" "${PGDATA:?}"

[ -f "$BACKUPS/$POINT/backup_manifest" ] || { echo "there is no whole backup $POINT in $BACKUPS" >&2; exit 1; }
[ -z "$(ls -A "$PGDATA")" ] || { echo "$PGDATA is not empty" >&2; exit 1; }
pg_verifybackup --quiet "$BACKUPS/$POINT"
cp -R "$BACKUPS/$POINT/." "$PGDATA"
chmod 0700 "$PGDATA"
cat >>"$PGDATA/postgresql.auto.conf" <<END
restore_command = 'cp "$ARCHIVE/%f" "%p"'
recovery_target_name = '$POINT'
recovery_target_action = 'promote'
END
touch "$PGDATA/recovery.signal"
