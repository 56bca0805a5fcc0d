# Runs a constant-time check that was built to leak (CT_NEGATIVE): valgrind must fail it, and the
# program must have said that every leak was reported and nothing else.
# usage: cmake -DVALGRIND=... -DSUPPRESSIONS=... -DPROGRAM=... -P expect_leaks.cmake
execute_process(COMMAND ${VALGRIND} --error-exitcode=99 -q --suppressions=${SUPPRESSIONS} ${PROGRAM}
                RESULT_VARIABLE code
                ERROR_VARIABLE said
                OUTPUT_QUIET)
if(NOT code EQUAL 99)
    message(FATAL_ERROR "valgrind ended with ${code} instead of 99:\n${said}")
endif()
if(NOT said MATCHES "ct: [1-9][0-9]* leaks, each seen, nothing else")
    message(FATAL_ERROR "not every leak was seen:\n${said}")
endif()
string(REGEX MATCH "ct: [^\n]*" summary "${said}")
message(STATUS "${summary}")
