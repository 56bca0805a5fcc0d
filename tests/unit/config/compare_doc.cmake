# Fails when PAGE is not what PROGRAM writes.
execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE _made RESULT_VARIABLE _result)
file(READ ${PAGE} _kept)
if(NOT _result EQUAL 0 OR NOT "${_made}" STREQUAL "${_kept}")
    message(FATAL_ERROR "${PAGE} is out of date: run ${PROGRAM} > ${PAGE}")
endif()
