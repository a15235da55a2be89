#!/bin/sh
# One backup of rows and objects, to one point: the rows first, the objects after them. backup.md says why.
#
#   ROWS     the database, as a role that may replicate and make restore points: postgresql://postgres@db.example/nexus
#   OBJECTS  the bucket, as rclone names it: objects:nexus
#   BACKUPS  the folder of all backups
set -eu
: "${ROWS:?}" "${OBJECTS:?}" "${BACKUPS:?}"

point="nexus-$(date -u +%Y%m%dT%H%M%SZ)"
ask() { psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --dbname="$ROWS" --command="$1"; }

echo "$point: rows" >&2
mkdir -p "$BACKUPS"
pg_basebackup --dbname="$ROWS" --pgdata="$BACKUPS/$point.part" --wal-method=stream --checkpoint=fast --label="$point"
segment=$(ask "select pg_walfile_name(pg_create_restore_point('$point'))")
ask "select pg_switch_wal()" >/dev/null

echo "$point: waiting for $segment in the archive" >&2
tries=0
until [ "$(ask "select coalesce(left(last_archived_wal, 24) >= '$segment', false) from pg_stat_archiver")" = t ]; do
  tries=$((tries + 1))
  if [ "$tries" -gt 300 ]; then
    echo "$point: the archive does not take $segment; look at the database's log for archive_command" >&2
    exit 1
  fi
  sleep 1
done

echo "$point: objects" >&2
mkdir -p "$BACKUPS/objects"
rclone sync "$OBJECTS" "$BACKUPS/objects" --backup-dir="$BACKUPS/removed/$point"

mv "$BACKUPS/$point.part" "$BACKUPS/$point"  # whole from here on
echo "$point"
