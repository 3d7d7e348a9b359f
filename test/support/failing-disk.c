/*
 * Preloaded into a process it makes the disk under its journal fail while a file of that name is in the directory FAILING_DISK:
 *   sync-log        the log cannot be synced, and as on a real disk what was written since the last sync is gone
 *   sync-database   the database cannot be synced
 *   full-log        the log cannot be written: no space
 *   full-database   the database cannot be written: no space
 *   sync-copy       a backup cannot be synced
 *   full-copy       a backup cannot be written: no space
 * "seen-NAME" is there from the first such failure on.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static off_t synced_length;

static int is_file(int fd, const char *suffix) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  size_t end = strlen(suffix);
  return length >= (ssize_t)end && memcmp(path + length - end, suffix, end) == 0;
}

static int fails(const char *mode) {
  const char *directory = getenv("FAILING_DISK");
  char path[4096];
  if (directory == NULL) return 0;
  snprintf(path, sizeof path, "%s/%s", directory, mode);
  if (access(path, F_OK) != 0) return 0;
  snprintf(path, sizeof path, "%s/seen-%s", directory, mode);
  int fd = open(path, O_CREAT | O_WRONLY, 0600);
  if (fd >= 0) close(fd);
  return 1;
}

static int sync_with(const char *name, int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  if (is_file(fd, ".db-wal")) {
    struct stat now;
    if (fails("sync-log")) {
      if (ftruncate(fd, synced_length) != 0) abort();
      errno = EIO;
      return -1;
    }
    if (fstat(fd, &now) == 0) synced_length = now.st_size;
  } else if ((is_file(fd, ".db") && fails("sync-database")) || (is_file(fd, ".partial") && fails("sync-copy"))) {
    errno = EIO;
    return -1;
  }
  return real(fd);
}

int fsync(int fd) { return sync_with("fsync", fd); }

int fdatasync(int fd) { return sync_with("fdatasync", fd); }

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
  ssize_t (*real)(int, const void *, size_t, off64_t) = (ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
  if ((is_file(fd, ".db-wal") && fails("full-log")) || (is_file(fd, ".db") && fails("full-database")) || (is_file(fd, ".partial") && fails("full-copy"))) {
    errno = ENOSPC;
    return -1;
  }
  return real(fd, bytes, length, offset);
}
