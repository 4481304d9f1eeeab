#pragma once

int faults_version(void);
