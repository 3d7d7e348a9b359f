/*
 * Preloaded into a process it writes down each step that changes a file whose path begins with DISK_STEPS_UNDER, a line each, into the file
 * DISK_STEPS. Before step number DISK_STEPS_KILL_AT the process kills itself; of a write the first half is done then.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int steps;

#define REAL(type, name) ((type)dlsym(RTLD_NEXT, name))

static const char *path_of(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, 4095);
  path[length < 0 ? 0 : length] = 0;
  return path;
}

/* Whether the process has to end at this step. */
static int is_last(const char *name, const char *path) {
  const char *under = getenv("DISK_STEPS_UNDER"), *into = getenv("DISK_STEPS"), *kill_at = getenv("DISK_STEPS_KILL_AT");
  if (under == NULL || into == NULL || strncmp(path, under, strlen(under)) != 0) return 0;
  char line[4200];
  int length = snprintf(line, sizeof line, "%s %s\n", name, path + strlen(under));
  int fd = REAL(int (*)(const char *, int, ...), "open")(into, O_CREAT | O_WRONLY | O_APPEND, 0600);
  if (fd >= 0) {
    if (REAL(ssize_t (*)(int, const void *, size_t), "write")(fd, line, length) != length) abort();
    close(fd);
  }
  return __atomic_add_fetch(&steps, 1, __ATOMIC_SEQ_CST) == (kill_at == NULL ? 0 : atoi(kill_at));
}

static void end(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

static void step(const char *name, const char *path) {
  if (is_last(name, path)) end();
}

#define PWRITE(NAME, OFFSET)                                                                    \
  ssize_t NAME(int fd, const void *bytes, size_t length, OFFSET offset) {                       \
    ssize_t (*real)(int, const void *, size_t, OFFSET) = REAL(ssize_t(*)(int, const void *, size_t, OFFSET), #NAME); \
    char path[4096];                                                                            \
    if (is_last("write", path_of(fd, path))) {                                                  \
      if (real(fd, bytes, length / 2, offset) < 0) abort();                                     \
      end();                                                                                    \
    }                                                                                           \
    return real(fd, bytes, length, offset);                                                     \
  }

PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

int fsync(int fd) {
  char path[4096];
  step("sync", path_of(fd, path));
  return REAL(int (*)(int), "fsync")(fd);
}

int fdatasync(int fd) {
  char path[4096];
  step("sync", path_of(fd, path));
  return REAL(int (*)(int), "fdatasync")(fd);
}

int ftruncate64(int fd, off64_t length) {
  char path[4096];
  step("truncate", path_of(fd, path));
  return REAL(int (*)(int, off64_t), "ftruncate64")(fd, length);
}

int rename(const char *from, const char *to) {
  step("rename", to);
  return REAL(int (*)(const char *, const char *), "rename")(from, to);
}

int unlink(const char *path) {
  step("remove", path);
  return REAL(int (*)(const char *), "unlink")(path);
}

int mkdir(const char *path, mode_t mode) {
  step("mkdir", path);
  return REAL(int (*)(const char *, mode_t), "mkdir")(path, mode);
}
