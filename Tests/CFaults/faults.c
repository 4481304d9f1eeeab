#include "CFaults.h"
int faults_version(void) { return 1; }
