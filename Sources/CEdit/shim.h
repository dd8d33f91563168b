// From Debian's libedit-dev.
#include <editline/readline.h>
