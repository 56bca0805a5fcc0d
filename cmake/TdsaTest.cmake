# Test programs are many and each holds half of the product: the linker that is fastest links them.
find_program(TDSA_FAST_LINKER NAMES ld.gold)

# tdsa_add_test(<name> SOURCES a.c LIBS tdsa_x LABEL unit)
function(tdsa_add_test name)
    cmake_parse_arguments(T "" "LABEL" "SOURCES;LIBS" ${ARGN})
    if(NOT TDSA_BUILD_TESTS)
        return()
    endif()
    add_executable(${name} ${T_SOURCES})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    target_compile_definitions(${name} PRIVATE TDSA_TESTS_DIR="${PROJECT_SOURCE_DIR}/tests"
                               TDSA_VECTORS_DIR="${TDSA_VECTORS}")
    target_link_libraries(${name} PRIVATE ${T_LIBS} PkgConfig::CMOCKA)
    target_compile_options(${name} PRIVATE $<$<CONFIG:RelWithDebInfo>:-O1>) # the product alone is as it is released
    if(TDSA_FAST_LINKER)
        target_link_options(${name} PRIVATE -fuse-ld=gold)
    endif()
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS "${T_LABEL}")
endfunction()

# tdsa_add_fuzz(<name> SOURCES a.c LIBS tdsa_x RUNS 20000): libFuzzer target, corpus in tests/fuzz/corpus/<name>
function(tdsa_add_fuzz name)
    cmake_parse_arguments(T "" "RUNS" "SOURCES;LIBS" ${ARGN})
    if(NOT TDSA_BUILD_FUZZ)
        return()
    endif()
    add_executable(${name} ${T_SOURCES})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    target_link_libraries(${name} PRIVATE ${T_LIBS})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set(_corpus ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
    set(_work ${CMAKE_CURRENT_BINARY_DIR}/${name}_corpus) # new inputs stay out of the source tree
    file(MAKE_DIRECTORY ${_work})
    set(_seeds)
    if(IS_DIRECTORY ${_corpus})
        set(_seeds ${_corpus})
    endif()
    add_test(NAME ${name} COMMAND ${name} -runs=${T_RUNS} ${_work} ${_seeds})
    set_tests_properties(${name} PROPERTIES LABELS fuzz)
endfunction()

# tdsa_add_ct(<name> SOURCES a.c LIBS tdsa_x): run under valgrind; secrets are marked undefined.
# The same source built with CT_NEGATIVE leaks each secret on purpose: self_<name> passes when
# valgrind reports every one of these leaks and nothing else, which proves that the check can fail.
function(tdsa_add_ct name)
    cmake_parse_arguments(T "" "" "SOURCES;LIBS" ${ARGN})
    if(NOT TDSA_BUILD_CT)
        return()
    endif()
    find_program(VALGRIND valgrind REQUIRED)
    set(_folder ${PROJECT_SOURCE_DIR}/tests/ct)
    set(_suppressions ${_folder}/libraries.supp)
    foreach(_program ${name} self_${name})
        add_executable(${_program} ${T_SOURCES})
        target_include_directories(${_program} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
        target_link_libraries(${_program} PRIVATE ${T_LIBS})
    endforeach()
    target_compile_definitions(self_${name} PRIVATE CT_NEGATIVE=1)
    add_test(NAME ${name} COMMAND ${VALGRIND} --error-exitcode=99 -q
                                  --suppressions=${_suppressions} $<TARGET_FILE:${name}>)
    add_test(NAME self_${name} COMMAND ${CMAKE_COMMAND} -DVALGRIND=${VALGRIND}
                                       -DSUPPRESSIONS=${_suppressions}
                                       -DPROGRAM=$<TARGET_FILE:self_${name}>
                                       -P ${_folder}/expect_leaks.cmake)
    set_tests_properties(${name} self_${name} PROPERTIES LABELS ct)
endfunction()
